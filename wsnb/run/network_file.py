"""`wsnb export network`: a finished run's networks in one small file with a card. The book's own: weights/book.zip."""

import io
import json
import zipfile
from pathlib import Path

from wsnb.files import load_torch, save_text
from wsnb.files import write as whole
from wsnb.run import experiments, manifest, paths, predict

BOOK = predict.BOOK
LICENCE = "Apache-2.0; the pictures that it learned from keep their own licences"


def write(project, runs, title: str, file) -> str:
    """Write the networks of the finished run TITLE to FILE, 16 bits a weight, and its card beside it as .md.

    FILE is a zip: card.json; STAGE/params.json and the networks of each stage that a prediction reads; the names of the
    classes below data/. Returns what was written. Raises FileError.
    """
    run = predict.of_runs(project, runs, title, "cpu")
    made = predict.predictor(run)
    content = {"data/VOC2012/classes.txt": "\n".join(made.classes).encode() + b"\n"}
    for stage in run.asked:
        content[f"{stage}/{manifest.PARAMS}"] = (run.upstream(stage) / manifest.PARAMS).read_bytes()
    for stage, name in made.files:
        path = run.upstream(stage) / name
        content[f"{stage}/{name}"] = _halved(path) if name.endswith(".pth") else path.read_bytes()
    card = _card(project, runs, run, made)
    content[predict.CARD] = json.dumps(card, indent=1, sort_keys=True).encode()
    with whole(file) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(content):
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content[name], zipfile.ZIP_DEFLATED)
    save_text(Path(file).with_suffix(".md"), text(card))
    return f"{paths.shown(file)}: {Path(file).stat().st_size / 1e6:.1f} MB, its card beside it"


def _halved(path) -> bytes:
    """The tensors of a file with 16 bits a number, as torch writes them."""
    import torch

    def half(value):
        if isinstance(value, dict):
            return {key: half(one) for key, one in value.items()}
        return value.half() if torch.is_tensor(value) and value.is_floating_point() else value

    buffer = io.BytesIO()
    torch.save(half(load_torch(path)), buffer)
    return buffer.getvalue()


def _card(project, runs, run, made) -> dict:
    """What a user of the network wants to know, from the records of its run and its Predictor MADE."""
    experiment = experiments.load(project, *experiments.split(project, run.title))
    header = experiments.header(experiment.path)
    place = paths.run_folder(runs, experiment.paper, experiment.name)
    records = [record for stage in experiment.stages if (record := manifest.read(place / stage.name))]
    results = [result for record in records for result in record["results"]
               if result.get("role", "final") == "final" and result["value"] is not None
               and result.get("protocol") and result["protocol"].items() >= made.scored.items()]
    return {"paper": experiment.paper, "experiment": run.title, "about": header.get("", ""), "stages": run.asked,
            "command": header.get("Command", ""), "licence": LICENCE,
            "commit": records[-1]["environment"].get("git_commit", "") if records else "",
            "results": [{key: result[key] for key in ("name", "value", "unit", "protocol", "detail")}
                        for result in results]}


def text(card: dict) -> str:
    """The card as Markdown."""
    lines = [f"# The network of `{card['experiment']}`", "", card["about"], "",
             f"- made by `{card['command']}`, then `wsnb export network {card['experiment']}`",
             f"- licence: {card['licence']}",
             "- weights are rounded to 16 bits here; the scores are those of the network before"]
    for result in card["results"]:
        protocol = result["protocol"]
        lines += ["", f"## {manifest.title(result)}: {result['value']:.1f} {result['unit']}", "",
                  f"{protocol.get('dataset', '')}, {protocol.get('dataset_size', '')} pictures of "
                  f"{protocol.get('split', '')}, learned from {protocol.get('supervision', '')}", ""]
        if result["detail"]:
            lines += ["| class | % |", "|---|---|"]
            lines += [f"| {name} | {value:.1f} |" for name, value in result["detail"].items() if value is not None]
    return "\n".join(lines) + "\n"


