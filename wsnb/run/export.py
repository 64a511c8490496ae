"""Labels of a finished stage as a folder of files, for other programs and for `labels_dir` of the student."""

from pathlib import Path

from wsnb.files import FileError, inside, write
from wsnb.run import paths, store

ENDINGS = (".png", ".npz")  # label maps, class maps


def labels(runs, place: str, folder, say) -> None:
    """Copy the label maps, or class maps, of PLACE, "PAPER/NAME/STAGE/FOLDER" below RUNS, into the new FOLDER.

    Raises FileError for a stage that is not finished, one without such files, and a FOLDER that holds something.
    """
    paper, name, stage, below = (*place.split("/", 3), "", "", "")[:4]
    run_folder = paths.run_folder(runs, paper, name)
    kept = (run_folder / paths.stage_folder_name(*paths.split_stage(stage))).resolve()
    record, faults = store.examine(kept)
    if record is None or faults:
        why = f" ({faults[0]})" if faults else ""
        raise FileError(f"{run_folder / stage}: no finished stage{why}; run `wsnb run {paper}/{name} --until {stage}`")
    at, target = inside(kept, below), Path(folder)
    found = [inside(kept, file) for file in record["files"]]
    found = [path for path in found if path.parent == at != kept and path.suffix in ENDINGS]
    if not found:
        held = sorted({str(Path(file).parent) for file in record["files"] if file.endswith(ENDINGS)} - {"."})
        raise FileError(f"{place}: no label maps there; give {paper}/{name}/{stage}/FOLDER, of "
                        f"{', '.join(held) or 'none'}")
    if target.exists() and any(target.iterdir()):
        raise FileError(f"{target}: holds something; give a new folder")
    for path in found:
        with write(target / path.name) as file:
            file.write(path.read_bytes())
    say(f"{len(found)} files in {target}; `-p labels_dir={target}` teaches them to a student")
