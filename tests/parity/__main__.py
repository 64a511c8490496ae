"""One line per array file of a folder: name, largest error against its tolerance, ok / FAIL / no handler."""

import importlib
import sys
from pathlib import Path

from tests.parity.compare import Check

PAPERS = ("panoptic", "spml", "simple_does_it", "no_people_allowed", "single_stage")


def handlers(folder: Path) -> dict:
    """The handlers of the paper that the folder is named after, else of the paper that knows most of its files."""
    found = {}
    for paper in PAPERS:
        if (Path(__file__).parent / f"{paper}.py").exists():
            found[paper] = importlib.import_module(f"tests.parity.{paper}").HANDLERS
    if folder.name in found:
        return found[folder.name]
    names = {path.stem for path in files(folder)}
    return max(found.values(), key=lambda known: len(names & set(known)))


def files(folder: Path, known=()) -> list[Path]:
    """The array files of a folder, and the .mat and .png files that a handler is KNOWN for: others are inputs."""
    arrays, others = (".npz", ".npy", ".json"), (".mat", ".png")
    return sorted(p for p in folder.iterdir() if p.suffix in arrays or (p.suffix in others and p.stem in known))


def main(argv) -> int:
    if len(argv) != 1 or not Path(argv[0]).is_dir():
        print("usage: python -m tests.parity FOLDER   (a folder of .npz, .npy and .json arrays)")
        return 2
    folder = Path(argv[0]).resolve()
    known, bad = handlers(folder), 0
    listed = files(folder, known)
    if not listed:
        print(f"{folder}: no array files")
        return 1
    for path in listed:
        if path.stem not in known:
            print(f"{path.name:32} no handler")
            bad += 1
            continue
        try:
            checks = known[path.stem](path)
        except Exception as error:  # whatever a handler meets, the other files get their lines too
            checks = [Check(f"{type(error).__name__}: {error}".splitlines()[0], float("inf"), 0.0)]
        if not checks:
            checks = [Check("nothing was compared", float("inf"), 0.0)]
        worst = max(checks, key=lambda c: (not c.ok, c.error / max(c.tolerance, 1e-12)))
        failed = [c.name for c in checks if not c.ok]
        bad += bool(failed)
        verdict = f"FAIL: {', '.join(failed)}" if failed else "ok"
        how = f"worst {worst.name}: {worst.error:.3g} (tolerance {worst.tolerance:.3g})"
        print(f"{path.name:32} {len(checks):3d} checks, {how}  {verdict}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
