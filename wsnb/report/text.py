"""Values as text, and data frames of text as Markdown tables."""

import html
import json
import re

import pandas as pd
from tabulate import DataRow, TableFormat

ROW = DataRow("| ", " | ", " |")
TABLE = TableFormat(None, lambda widths, aligns: "|" + "---|" * len(widths), None, None, ROW, ROW, 0, None)


class Markdown(str):
    """Text that is Markdown already, and is not escaped again."""


def reported(value: float, unit: str = "%") -> str:
    """A reported value with one decimal, two where the paper gives two; a count or a place as it is."""
    if unit != "%":
        return f"{value:g} {unit}".rstrip()
    text = f"{value:.2f}"
    return text[:-1] if text.endswith("0") else text


def ours(value, unit="%") -> str:
    """One of our values: one decimal; few numbers of this kind deserve a second."""
    return "undefined" if pd.isna(value) else f"{value:.1f}" if unit == "%" else f"{value:.4g} {unit}".rstrip()


def signed(change) -> str:
    """'+1.2', '−0.5', '' for NaN."""
    return "" if pd.isna(change) else f"{round(change, 1) + 0.0:+.1f}".replace("-", "−")


def between(low, high) -> str:
    """'42.9–50.9', '' for NaN."""
    return "" if pd.isna(low) or pd.isna(high) else f"{low:.1f}–{high:.1f}"


def over_seeds(row) -> str:
    """'47.1–48.7 (3)', nothing for a single seed."""
    return f"{between(row.seed_low, row.seed_high)} ({row.seeds:.0f})" if row.seeds > 1 else ""


def intervals(limits, seeds) -> dict:
    """Up to two columns of text of `statistics.limits`, those with an interval; SEEDS: number of seeds of each row."""
    rows = list(limits.assign(seeds=list(seeds)).itertuples())
    found = {"95 %, pictures": [between(row.low, row.high) for row in rows], "95 %, seeds": list(map(over_seeds, rows))}
    return {name: column for name, column in found.items() if any(column)}


def pictures(dataset, split) -> str:
    """'VOC2012 val'."""
    return f"{dataset} {split}".replace(" unstated", "")


def crf(text) -> str:
    """Short text for a CRF in the cells: yes, no or ?"""
    return {"no": "no", "": "no", "unstated": "?"}.get(text, "yes")


def method(row) -> str:
    """'single-stage, MobileNetV2', with the preset where it is not the paper's; of the floor its name alone."""
    if row.method == "all background":
        return row.method
    return ", ".join(filter(None, (row.method or "?", row.backbone, row.preset if row.preset == "fixed" else "")))


def step(row) -> str:
    """The name of a ladder's step; of a number of the chain's end its method."""
    if row.step:
        return row.step
    parts = [row.method if row.stated else row.metric]
    parts += ["tags given"] if row.image_labels == "ground truth" else []
    parts += ["CRF"] if row.crf else []
    return ", ".join(filter(None, parts)) or row.metric


def value(one) -> str:
    """A field of a protocol: lists by commas, truth values as yes and no."""
    if isinstance(one, bool):
        return "yes" if one else "no"
    if isinstance(one, float):
        return f"{one:g}"
    return ", ".join(map(value, one)) if isinstance(one, list | tuple) else str(one)


def duration(seconds: float) -> str:
    """'42 s', '3 min 05 s' or '2 h 07 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def memory(size: int) -> str:
    """'1.24 GB' (10^9 bytes) or '312 MB'."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def counted(number: int, noun: str) -> str:
    """'1 stage', '2 stages'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def escape(text) -> str:
    """Text that Markdown shows as it stands, on one line; Markdown stays as it is."""
    if isinstance(text, Markdown):
        return text
    text = " ".join(str(text).split())
    return re.sub(r"[\\|*`<>$\[\]^~]|(?<!\w)_|_(?!\w)", lambda sign: f"\\{sign[0]}", text)


def fenced(content, language: str = "") -> str:
    """A Markdown block of code, whose fence is longer than any in CONTENT."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", content)), default=0))
    return Markdown(f"{fence}{language}\n{content.strip()}\n{fence}")


def quoted(text) -> str:
    """Text on one line in quotes, for an option of a directive."""
    return json.dumps(" ".join(str(text).split()), ensure_ascii=False)


def link(name: str, page: str | None) -> str:
    """NAME as a link to PAGE; without one as plain text."""
    return Markdown(f"[{escape(name)}]({page})") if page else name


def table(frame) -> str:
    """A data frame of text as a Markdown table; its cells are escaped."""
    return frame.map(escape).to_markdown(index=False, tablefmt=TABLE, disable_numparse=True, stralign=None) + "\n"


def show(frame, caption: str = ""):
    """A data frame of text for a notebook: a table without index, under its CAPTION."""
    from IPython.display import HTML

    head = f"<p><b>{html.escape(caption)}</b></p>\n" if caption else ""
    with pd.option_context("display.max_colwidth", None):
        return HTML(head + frame.to_html(index=False, border=0, na_rep="", classes="text"))


def filled(frame):
    """The data frame without the columns in which every cell is empty."""
    return frame.loc[:, [frame.empty or bool(frame[name].astype(bool).any()) for name in frame]]
