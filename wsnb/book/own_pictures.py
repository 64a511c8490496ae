"""Which chains run on one's own pictures: by the labels that are there, and the experiments that the project has."""

from pathlib import Path
from shlex import quote

# A chain fits if one of its kinds of label is known of every picture; tags follow from every other kind. With a kind
# go the parameters that make the chain take it, where that is not what the experiment does by itself.
CHAINS = (
    ("single_stage/voc_small", "image tags", {"tags": ""}),
    ("no_people_allowed/voc_small_irn", "image tags", {"tags": ""}),
    ("spml/voc_small_tag", "image tags", {"tags": ""}),
    ("spml/voc_small_box", "boxes", {"boxes": "", "masks": ""}),
    ("spml/voc_small_scribble", "scribbles", {"scribbles": "-p weak_source=dataset", "masks": ""}),
    ("spml/voc_small_point", "points", {"points": "-p weak_source=dataset", "masks": ""}),
    ("simple_does_it/voc_small_semantic", "boxes", {"boxes": "", "masks": ""}),
)


def fitting(project, known, pictures: int) -> list[tuple[str, str, str | None]]:
    """(experiment, supervision, parameters to add, or None if it does not fit) for each chain of the project PROJECT.

    KNOWN is {kind: pictures that have it}; a kind counts if all PICTURES have it.
    """
    full = {kind for kind, count in known.items() if count == pictures} | ({"tags"} if known else set())
    return [
        (title, supervision, next((options for kind, options in kinds.items() if kind in full), None))
        for title, supervision, kinds in CHAINS
        if (Path(project) / "params" / f"{title}.yaml").is_file()
    ]


def text(project, made) -> str:
    """What was made and what to type next. MADE is `wsnb.data.own.Own`."""
    pictures = sum(made.splits.values())
    lines = [
        f"{made.root}: {', '.join(f'{count} {split}' for split, count in made.splits.items())} pictures",
        f"  classes: {', '.join(made.classes)}",
        "  labels: " + ", ".join(f"{kind} of {count}" for kind, count in made.known.items()),
        *(f"  note: {note}" for note in made.notes),
    ]
    if made.known.get("masks", 0) == 0:
        lines.append(
            "  no full masks: scores count only the pixels that are known (scribbles, points, the ground outside of "
            "boxes); with tags alone there is nothing to score, the pictures show the result"
        )
    elif made.known["masks"] < pictures:
        lines.append("  full masks of some: they are held out as val, and scores are those of the val pictures")
    for title, supervision, options in fitting(project, made.known, pictures):
        if options is None:
            lines.append(f"  {title}: needs {supervision} of every picture")
        else:
            command = f"wsnb run {title} --data-root {quote(str(made.root))} --runs my_runs {options}".rstrip()
            lines.append(f"  {command}")
    return "\n".join(lines)
