"""The block of results in README.md, made from the published records; nothing in it is typed by hand."""

from pathlib import Path

from wsnb.book import results
from wsnb.files import FileError, save_text

BEGIN, END = "<!-- results: written by `wsnb report`, do not edit -->", "<!-- end of results -->"
METRICS = ("mIoU", "PQ (all)", "mAP^r@0.5")  # of the many that the records hold


def block(records) -> str:
    """Markdown: a row a chain's final number or bound, then what each experiment took, for published RECORDS."""
    lines = ["| experiment | pictures | supervision | method, backbone | tags at test | CRF | metric | % |",
             "|---|---|---|---|---|---|---|---|"]
    said = set()
    for row in results.rows(records):
        if row.name not in METRICS or row.role not in ("final", "bound") or row.protocol is None or row.value is None:
            continue
        of = row.protocol
        tags = {"predicted": "predicted", "ground truth": "given (*clean*)", "none": "–"}[of.image_labels]
        bound = of.method == "all background"  # the same for all experiments on the same pictures
        preset = of.preset if of.preset == "fixed" else ""
        method = of.method if bound else ", ".join(filter(None, (row.step or of.method, of.backbone, preset)))
        what = [f"{of.dataset} {of.split}, {of.dataset_size}", of.supervision or "?", method, tags]
        line = " | ".join([*what, "yes" if of.crf else "no", row.name, f"{row.value:.1f}"])
        if bound and line in said:
            continue
        said.add(line)
        lines.append(f"| {'' if bound else f'`{row.paper}/{row.experiment}`'} | {line} |")
    return "\n".join([*lines, "", *_times(records)])


def _times(records):
    for title in dict.fromkeys(record.title for record in records):
        own = [record for record in records if record.title == title]
        times = ", ".join(f"{r.stage} {r.manifest['seconds'] / 60:.0f} min" for r in own)
        env = own[0].manifest["environment"]
        machine = env["gpu"] or f"{env['cpu_count']} CPU cores"
        commits = list(dict.fromkeys(r.manifest["environment"]["git_commit"][:7] for r in own))
        code = f"commit{'s' * (len(commits) > 1)} {', '.join(commits)}"
        yield f"- `{title}` on {machine}, torch {env['torch']}, {code}: {times}."


def update(path, records) -> bool:
    """Write the block into the file PATH between its two markers; says whether it changed.

    A file without markers is left alone. Raises FileError if only one of them is there.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (BEGIN in text) != (END in text):
        raise FileError(f"{path}: has one of the two markers {BEGIN!r} and {END!r}; put both or none")
    if BEGIN not in text:
        return False
    new = text[: text.index(BEGIN)] + f"{BEGIN}\n\n{block(records)}\n\n" + text[text.index(END) :]
    if new != text:
        save_text(path, new)
    return new != text
