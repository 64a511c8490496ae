"""Hand-made manifests and an executed notebook, as the runner would leave them."""

import base64
import io
import json

import numpy as np
from PIL import Image

from wsnb.report import frame
from wsnb.run import manifest as records

PROTOCOL = {
    "dataset": "VOC2012",
    "dataset_size": 1449,
    "split": "val",
    "split_hash": "ab" * 32,
    "image_labels": "predicted",
    "scales": [1.0, 0.5, 1.5, 2.0],
    "flip": True,
    "crf": "",
    "resolution": "original",
    "threshold": "0.1",
    "threshold_split": "",
    "aggregation": "data set",
    "ignore_label": 255,
    "weights": "imagenet",
    "supervision": "image labels",
    "method": "single-stage",
    "backbone": "resnet38",
    "preset": "faithful",
}


def result(value, name="mIoU", unit="%", detail=None, **changed):
    """One result; CHANGED fields of PROTOCOL."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "detail": detail or {},
        "protocol": {**PROTOCOL, **changed},
    }


def step(value, name, **changed):
    """One result on the way of a chain."""
    return {**result(value, **changed), "role": "ladder", "step": name}


def manifest(runs, title, stage, results=(), **more):
    """Write RUNS/TITLE/STAGE/manifest.json, results.json and params.json; returns the folder."""
    paper, experiment = title.split("/")
    folder = runs / paper / experiment / stage
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "format": 1,
        "paper": paper,
        "experiment": experiment,
        "stage": stage,
        "key": "0123456789abcdef" * 4,
        "parts": {"code": "c", "params": "p", "upstream": {}, "data": None},
        "params": {
            "data_root": "/srv/data/VOCdevkit",
            "weights": "../elsewhere/net.pth",
            "seed": 0,
            "lr": 0.001,
        },
        "results": list(results),
        "notes": {},
        "seed": 0,
        "environment": {
            "python": "3.11.4",
            "torch": "2.13.0",
            "cuda": None,
            "gpu": None,
            "cv2": "4.12",
            "platform": "Linux",
            "cpu_count": 2,
            "git_commit": "f" * 40,
            "git_dirty": False,
        },
        "started": "2025-01-02T03:04:05+00:00",
        "seconds": 125.4,
        "peak_cpu_bytes": 1_240_000_000,
        "peak_gpu_bytes": 0,
        **more,
    }
    (folder / "params.json").write_text("{}")
    return again(folder, record)


def again(folder, changes=None):
    """Write the records of a stage's folder again, with CHANGES of them and all files that are in it now."""
    path = folder / "results.json"
    record = {**(json.loads(path.read_text()) if path.exists() else {}), **(changes or {})}
    path.write_text(json.dumps(record))
    records.write(folder, record)
    return folder


def png(size=(60, 90), seed=0) -> bytes:
    """A small picture's file."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def notebook(path, title="Training", lines=3, picture=None):
    """Write an executed notebook: prose with a formula, printed lines, a table, a picture, a widget."""

    def code(source, *outputs):
        return {
            "cell_type": "code",
            "metadata": {},
            "source": source,
            "execution_count": 1,
            "outputs": list(outputs),
        }

    def shown(**data):
        return {
            "output_type": "display_data",
            "metadata": {},
            "data": {k.replace("_", "/", 1): v for k, v in data.items()},
        }

    picture = base64.b64encode(png() if picture is None else picture).decode()
    view = {"model_id": "1f", "version_major": 2, "version_minor": 0}
    cells = [
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": f"# {title}\n\nThe loss is $L = \\sum_i x_i^2$, and\n\n$$s_c = "
            "\\frac{\\sum_p x_{c,p}\\, m_{c,p}}{1 + \\sum_p m_{c,p}}$$\n\nSee [the next stage](02_masks.ipynb).",
        },
        {**code("lr: float = 0.001  # step size"), "metadata": {"tags": ["parameters"]}},
        {**code("lr = 0.5"), "metadata": {"tags": ["injected-parameters"]}},
        {"cell_type": "markdown", "metadata": {}, "source": "## The training run\n\nOne line a step."},
        code(
            "train()",
            {
                "output_type": "stream",
                "name": "stdout",
                "text": "".join(f"12:00:00 step {i}, loss 0.1\n" for i in range(lines)),
            },
        ),
        {"cell_type": "markdown", "metadata": {}, "source": "## What was learned"},
        code("show()", shown(image_png=picture, text_plain="<Figure size 640x480 with 1 Axes>")),
        code(
            "widget",
            {
                **shown(text_plain="interactive(children=...)"),
                "data": {
                    "application/vnd.jupyter.widget-view+json": view,
                    "text/plain": "interactive(children=(IntSlider(value=10),))",
                },
            },
        ),
    ]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {}}},
    }
    for number, cell in enumerate(cells):
        cell["id"] = f"cell{number}"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}))


def found(runs):
    """The results frame of the folder RUNS."""
    return frame.results(frame.records(runs))


def full(value, **changed):
    """A result of full supervision."""
    return result(value, supervision="full", method="fully supervised", **changed)


def bound(value):
    """The floor's result."""
    return result(value, supervision="none", method="all background", image_labels="none")
