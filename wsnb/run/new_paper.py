"""`wsnb new paper NAME`: the two files of a method of one's own, a notebook and an experiment, from a template."""

from pathlib import Path

from wsnb.files import FileError, save_text
from wsnb.run import experiments, paths

TEMPLATE = Path(__file__).with_name("template")
NAME = "PAPER"  # in the template, the paper's name
FILES = {"01_method.ipynb": "notebooks", "shapes.yaml": "params"}


def make(project, name: str) -> str:
    """Write notebooks/NAME/01_method.ipynb and params/NAME/shapes.yaml; returns what to type next. Raises FileError if
    one of the folders is there, BadName for a name that cannot be a folder's."""
    paths.check_name("paper", name)
    for folder in ("notebooks", "params"):
        if (Path(project) / folder / name).exists():
            raise FileError(f"{Path(project) / folder / name}: is there already; choose another name, or remove it")
    made = []
    for file, folder in FILES.items():
        text = (TEMPLATE / file).read_text(encoding="utf-8").replace(NAME, name)
        made.append(Path(project) / folder / name / file)
        save_text(made[-1], text)
    title = f"{name}/{experiments.SYNTHETIC}"
    return "\n".join([*(f"wrote {paths.shown(path)}" for path in made),
                      f"next: wsnb run {title}, then wsnb report; change the cells under *The method* and run it again",
                      f"a title, authors and reported numbers of the paper go into wsnb/papers/{name}/paper.toml"])
