"""Chains that run on a reader's own pictures: by the labels that are there, the papers' rules, and the experiments."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from wsnb.data.own import dataset
from wsnb.run import experiments, papers

BOOK = 600  # training pictures of the experiments called voc_small


@dataclass(frozen=True)
class Chain:
    """A chain, and how it takes one's own pictures.

    learns_from  what a person has to mark
    gives        what comes out
    small        its experiment for photographs, with a network that knows ImageNet
    tiny         the same for a first try, with a network from nothing that needs no download
    kinds        {label that does, if it is known of every picture: parameters that make the chain take it}
    for_small, for_tiny  parameters that the experiment needs besides
    without      {label: what to add where it is not known of every picture}
    per_epoch    parameters of `small` that count passes over the training pictures
    stuff        whether it learns classes that are tagged and never boxed
    """

    learns_from: str
    gives: str
    small: str
    tiny: str
    kinds: dict
    for_small: str = ""
    for_tiny: str = ""
    without: dict = field(default_factory=dict)
    per_epoch: tuple = ()
    stuff: bool = False

    def options(self, full, tiny=False) -> str | None:
        """Parameters for labels FULL, those known of every picture; None if the chain does not fit them."""
        found = next((options for kind, options in self.kinds.items() if kind in full), None)
        if found is None:
            return None
        more = [options for kind, options in self.without.items() if kind not in full]
        return " ".join(filter(None, [found, self.for_tiny if tiny else self.for_small, *more]))


def _chains():
    """The Chains of all papers, in the order of the chapters."""
    for paper in papers.load().values():
        for rule in paper.own_pictures:
            names = {kind: f"{paper.key}/{rule[kind]}" for kind in ("small", "tiny")}
            yield Chain(**{**rule, **names})


CHAINS = tuple(_chains())


def full_kinds(known, pictures: int) -> set:
    """The labels that are known of all PICTURES; KNOWN is {kind: of how many}. Tags follow from every other kind."""
    return {kind for kind, count in known.items() if count == pictures} | ({"tags"} if known else set())


def as_many_iterations(project, chain: Chain, pictures: int) -> str:
    """Parameters with which the chain's `small` experiment learns from few PICTURES for as many iterations as from the
    book's; "" for as many pictures or more."""
    factor = math.ceil(BOOK / max(1, pictures))
    if factor == 1:
        return ""
    values = experiments.load(project, *chain.small.split("/")).values
    return " ".join(f"-p {name}={values[name] * factor}" for name in chain.per_epoch)


def fitting(project, known, pictures: int, training: int = 0) -> list[tuple[str, str, str | None]]:
    """(experiment for photographs, what it learns from, parameters to add, or None if it does not fit the labels) of
    each chain that the project PROJECT has. KNOWN is {kind: pictures that have it}. With TRAINING pictures the
    parameters make up for their small number."""
    full, found = full_kinds(known, pictures), []
    for chain in CHAINS:
        if (Path(project) / "params" / f"{chain.small}.yaml").is_file():
            options = chain.options(full)
            if options is not None and training:
                options = f"{options} {as_many_iterations(project, chain, training)}".strip()
            found.append((chain.small, chain.learns_from, options))
    return found


def command(experiment: str, root, options: str) -> str:
    """What to type; the tables of the results call the set `own`."""
    return f"wsnb run {experiment} --data-root {quote(str(root))} --runs my_runs -p dataset=own {options}".rstrip()


def table(root, full, tiny=False) -> str:
    """Markdown: what each chain learns from, what it gives, and the command that runs it on the set ROOT with labels
    FULL of every picture; TINY: the experiments for a first try."""
    lines = ["| you marked | you get | what to type |", "|---|---|---|"]
    for chain in CHAINS:
        options, title = chain.options(full, tiny), chain.tiny if tiny else chain.small
        said = f"{title} does not fit" if options is None else f"`{command(title, root, options)}`"
        lines.append(f"| {chain.learns_from} | {chain.gives} | {said} |")
    return "\n".join(lines)


def text(project, made) -> str:
    """What was made and what to type next. MADE is `wsnb.data.own.dataset.Own`."""
    pictures = made.splits["train"] + made.splits["val"]
    stuff = ", ".join(chain.small for chain in CHAINS if chain.stuff)
    lines = [
        f"{made.root}: {', '.join(f'{count} {split}' for split, count in made.splits.items())} pictures",
        f"  classes: {', '.join(made.classes)}",
        *([f"  stuff, tagged and never boxed: {', '.join(made.stuff)}; {stuff} learns it, the other chains from boxes "
           "take it for background"] if made.stuff else []),
        "  labels: " + ", ".join(f"{_NAMES.get(kind, kind)} of {count}" for kind, count in made.known.items()),
        *(f"  note: {note}" for note in made.notes),
    ]
    if made.known.get("masks", 0) == 0:
        lines.append(
            "  no full masks: scores count only the pixels that are known (scribbles, points); with tags or boxes "
            "alone mIoU is undefined, the pictures show the result"
        )
    elif made.known["masks"] < pictures:
        lines.append("  full masks of some: they are held out as val, and scores are those of the val pictures")
    for title, learns_from, options in fitting(project, made.known, pictures, made.splits["train"]):
        if options is None:
            lines.append(f"  {title}: needs {learns_from} of every picture")
        else:
            lines.append(f"  {command(title, made.root, options)}")
    if dataset.TEST in made.splits:
        lines.append(f"  then, of those without labels: wsnb predict --split {dataset.TEST} --runs my_runs --run "
                     "EXPERIMENT")
    return "\n".join(lines)


_NAMES = {"objects": "masks of single objects"}
