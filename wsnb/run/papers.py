"""Papers: what a chapter's paper.toml says of it; run and report know a paper by this file alone."""

import dataclasses
import functools
import tomllib
from pathlib import Path

from wsnb.files import FileError, read_text

PLACE = Path(__file__).parents[1] / "papers"
NAME, REPORTED = "paper.toml", "reported.csv"


@dataclasses.dataclass(frozen=True)
class Paper:
    """One paper.

    key           its folder in wsnb/papers, notebooks and params
    name          a short name for lists
    title, authors, venue, year, links ({what: address}), bibtex
    order         its place among the chapters
    supervision   of an experiment that states none
    summary       labels → result, in a line
    alias         rules {"of": "ours" or "reported", "when": {field: pattern}, "set": {field: text}}: names of methods,
                  backbones and supervisions that mean the same; see wsnb.report.match
    ladder        rules {"step": pattern, "after": [step]}: steps not made from the step before; see wsnb.report.ladder
    executed      its experiment on real pictures whose executed notebooks come with the book; see wsnb.report.executed
    book_network  PAPER/NAME of the experiment whose network comes with the book, see wsnb.run.network_file
    label_maps    STAGE/FOLDER of the label maps that the front page shows
    own_pictures  how its experiments take a reader's own data set; see wsnb.run.own_pictures
    claims        statements of the paper that its numbers are to support; see wsnb.report.claims
    """

    key: str
    name: str
    title: str
    authors: list
    venue: str
    year: int
    supervision: str
    summary: str
    order: int = 1000
    links: dict = dataclasses.field(default_factory=dict)
    bibtex: str = ""
    alias: list = dataclasses.field(default_factory=list)
    ladder: list = dataclasses.field(default_factory=list)
    own_pictures: list = dataclasses.field(default_factory=list)
    claims: list = dataclasses.field(default_factory=list)
    label_maps: str = ""
    book_network: str = ""
    executed: str = ""

    @property
    def heading(self) -> str:
        """'Title (Family names, Venue)'."""
        if not self.authors:
            return self.title
        names = [author.split()[-1] for author in self.authors]
        return f"{self.title} ({', '.join(names if len(names) < 4 else [f'{names[0]} et al.'])}, {self.venue})"

    @property
    def reported(self) -> Path:
        """The table of the numbers that it reported."""
        return PLACE / self.key / REPORTED


@functools.cache
def load() -> dict:
    """{key: Paper} of all folders of wsnb/papers with a paper.toml, in the order of the chapters. Raises FileError."""
    found = [read(path) for path in sorted(PLACE.glob(f"*/{NAME}"))]
    return {paper.key: paper for paper in sorted(found, key=lambda paper: paper.order)}


def read(path) -> Paper:
    """Read one paper.toml. Raises FileError naming the file, and what is missing, unknown or of another type."""
    path = Path(path)
    try:
        values = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: not a TOML file ({error}); correct it, or check it out again") from error
    fields = {field.name: field for field in dataclasses.fields(Paper) if field.name != "key"}
    wrong = [f"unknown key {name}" for name in values if name not in fields]
    for name, field in fields.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            wrong.append(f"{name} is missing")
        elif name in values and not isinstance(values[name], field.type):
            wrong.append(f"{name} is not a {field.type.__name__}")
    if wrong:
        raise FileError(f"{path}: {', '.join(wrong)}; its keys are {', '.join(fields)}")
    return Paper(path.parent.name, **values)


def find(key: str) -> Paper:
    """The Paper of a folder; of one without a paper.toml, a Paper that has nothing but this name."""
    return load().get(key) or Paper(key, key, key, [], "", 0, "", "")
