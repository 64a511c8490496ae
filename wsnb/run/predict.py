"""`wsnb predict` and `wsnb.load`: the networks of a finished run on pictures that are in no data set.

Nothing of the run is computed again. A paper says in `wsnb/papers/PAPER/predictor.py` how its last step is applied.
"""

import contextlib
import importlib
import tempfile
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from wsnb import viz
from wsnb.files import FileError, inside, load_json, read_rgb, save_png, save_text
from wsnb.files import write as whole
from wsnb.run import experiments, manifest, notebooks, papers, params, paths

BOOK = "weights/book.zip"  # the small network that comes with the book, as `wsnb export network` writes it
CARD = "card.json"  # of a file of `wsnb export network`
MOST_BYTES = 4 * 10**9  # of a file of `wsnb export network`, unpacked
LONGEST = 500  # pixels: VOC's pictures have no longer side; photographs are reduced to it
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class Run:
    """Finished stages, as a paper's predictor reads them: a subset of what a notebook's Stage has.

    folders    {stage: its folder}; a stage that is not finished has none
    data_root  where the names of the classes are
    """

    def __init__(self, paper: str, title: str, folders: dict, stages: list, data_root, device: str):
        self.paper, self.title, self.device = paper, title, device
        self.data_root, self._folders, self._stages = Path(data_root), folders, stages
        self.asked = []  # stages whose parameters or files were read

    def has(self, name: str) -> bool:
        """Whether the stage is one of the run's, and finished."""
        return self._folders.get(experiments.find_stage(name, self._stages)) is not None

    def upstream_name(self, name: str) -> str:
        """Name of a stage, its round written out: the last one. Raises FileError if the run has no such stage."""
        found = experiments.find_stage(name, self._stages)
        if found is None:
            raise FileError(f"{self.title}: has no stage {name}; its stages are {', '.join(self._stages)}")
        return found

    def upstream(self, name: str) -> Path:
        """Folder of a finished stage. Raises FileError naming the command that finishes it."""
        name = self.upstream_name(name)
        folder = self._folders.get(name)
        if folder is None:
            raise FileError(f"{self.title}: {name} is not finished; run `wsnb run {self.title} --until {name}` first")
        self.asked += [name] if name not in self.asked else []
        return folder

    def pictures(self, split: str) -> list:
        """Files of the pictures of a list of its data set. Raises FileError."""
        from wsnb.data import read

        layout = next((p.layout for name in reversed(self._stages) if self.has(name)
                       and hasattr(p := self.upstream_params(name), "layout")), "voc")
        return [item.image for item in read.items(layout, self.data_root, split)]

    def upstream_params(self, name: str) -> SimpleNamespace:
        """The parameters that a finished stage ran with; those that its notebook has got since, as they are there."""
        ran = load_json(self.upstream(name) / manifest.PARAMS)["params"]
        notebook = paths.find() / "notebooks" / self.paper / f"{paths.split_stage(name)[0]}.ipynb"
        since = params.declared(notebooks.read(notebook)) if notebook.is_file() else {}
        return SimpleNamespace(**{**{key: param.default for key, param in since.items()}, **ran})


def of_runs(project, runs, title: str, device: str) -> Run:
    """The finished stages of the experiment TITLE below RUNS. Raises FileError, BadName or ParamsError."""
    experiment = experiments.load(project, *experiments.split(project, title))
    place = paths.run_folder(runs, experiment.paper, experiment.name)
    folders, data_root = {}, experiment.values.get("data_root", "")
    for stage in experiment.stages:
        record = manifest.read(place / stage.name)
        if record is not None:
            if faults := manifest.problems(place / stage.name, record):
                raise FileError(f"{place / stage.name}: {faults[0]}; run `wsnb run {title}` again")
            folders[stage.name] = place / stage.name
            data_root = record["params"].get("data_root") or data_root
    names = [stage.name for stage in experiment.stages]
    return Run(experiment.paper, experiment.title, folders, names, Path(project, data_root).expanduser(), device)


@contextlib.contextmanager
def of_file(path, device: str):
    """A Run of a file that `wsnb export network` wrote; its files are unpacked until the end. Raises FileError."""
    with tempfile.TemporaryDirectory(prefix="wsnb-") as folder:
        try:
            with zipfile.ZipFile(path) as packed:
                if (size := sum(member.file_size for member in packed.infolist())) > MOST_BYTES:
                    raise FileError(f"{path}: {size / 1e9:.0f} GB, which no network of the book has; get it anew")
                packed.extractall(folder)  # names that leave the folder are cut by zipfile
            card = load_json(Path(folder, CARD))
            stages = {name: inside(folder, name) for name in card["stages"]}
            paper = paths.check_name("paper", card["paper"])
            run = Run(paper, card["experiment"], stages, list(stages), Path(folder, "data"), device)
        except FileNotFoundError as error:
            raise FileError(f"{path}: no such file; `wsnb export network PAPER/NAME FILE` makes one") from error
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, TypeError) as error:
            raise FileError(f"{path}: not a file of `wsnb export network` ({error}); make it again") from error
        yield run


def predictor(run: Run):
    """The paper's Predictor of a Run. Raises FileError if the paper has none."""
    path = papers.PLACE / run.paper / "predictor.py"
    if not path.is_file():
        raise FileError(f"{path}: missing; {run.title} has no function of a picture, write one as another paper has it")
    return importlib.import_module(f"wsnb.papers.{run.paper}.predictor").predictor(run)


def checked_device(device: str) -> str:
    """ "cpu" or "cuda..."; "auto" takes a GPU if there is one. Raises ParamsError if the one asked for is not there."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise params.ParamsError(f"device {device!r}: not on this machine; use auto or cpu")
    return device


class Model:
    """A trained network of the book: `model.predict(image)` labels a picture."""

    def __init__(self, run: Run):
        self.run, self.predictor = run, predictor(run)
        self.classes = self.predictor.classes

    def predict(self, image, boxes=None, longest: int = LONGEST) -> np.ndarray:
        """Label a picture uint8 [H, W, 3], or the file of one: uint8 [H, W], numbers of `classes`.

        A picture whose longer side is above LONGEST pixels (0: any) is reduced for the network. BOXES [N, 4] half-open
        (x0, y0, x1, y1) are for chains that fill boxes: the labels number them from 1. Raises FileError.
        """
        image = read_rgb(image, by_exif=True) if isinstance(image, str | Path) else np.asarray(image)
        small, scale = reduced(image, min(filter(None, (longest, self.predictor.longest)), default=0))
        if self.predictor.of_boxes:
            if boxes is None or not len(boxes):
                raise FileError(f"{self.run.title}: fills boxes, and there are none; give --box X0,Y0,X1,Y1")
            found = self.predictor.label(small, np.rint(np.asarray(boxes) * scale).astype(int))
        elif boxes is not None:
            raise FileError(f"{self.run.title}: takes no boxes; leave --box out")
        else:
            found = self.predictor.label(small)
        return enlarged(found, image.shape[:2])

    def instances(self, image, longest: int = LONGEST) -> tuple:
        """(ids uint16 [H, W], the class of each id ascending) of a picture, for chains that find instances."""
        small, _ = reduced(image, min(filter(None, (longest, self.predictor.longest)), default=0))
        ids, classes = self.predictor.instances(small)
        return enlarged(ids, image.shape[:2]), classes

    def overlay(self, image, labels) -> np.ndarray:
        """The picture uint8 [H, W, 3] tinted by its labels."""
        return viz.overlay(image, labels, palette=self.predictor.palette, background=self.predictor.background)


def load(what: str | Path = "", runs=None, device: str = "auto") -> Model:
    """Load networks: `wsnb.load("PAPER/NAME").predict("photo.jpg")`.

    WHAT is the title of a finished run below RUNS (default: those of the project), a file of `wsnb export network`, or
    "", the book's own network. Raises FileError, BadName or ParamsError.
    """
    project, device = paths.find(), checked_device(device)
    runs = Path(runs) if runs else project / "runs"
    if what and Path(what).suffix != ".zip":
        return Model(of_runs(project, runs, str(what), device))
    with of_file(what or book(project, runs), device) as run:
        return Model(run)  # it has read all that it needs


def book(project, runs) -> Path:
    """The file of the book's network. Raises FileError, with the runs that could serve instead and how to make it."""
    path = Path(project, BOOK)
    if not path.is_file():
        maker = next(paper.book_network for paper in papers.load().values() if paper.book_network)
        done = [title for title in finished(project, runs)][:4]
        instead = f" --run takes a finished run, here {', '.join(done)};" if done else ""
        raise FileError(f"{path}: the book's network is not in this checkout;{instead} `wsnb run {maker}` and "
                        f"`wsnb export network {maker}` make it")
    return path


def reduced(image, longest: int) -> tuple:
    """(picture with a longer side of at most LONGEST pixels, 0: any, the factor)."""
    import cv2

    scale = min(1.0, longest / max(image.shape[:2])) if longest else 1.0
    if scale == 1:
        return image, 1.0
    size = tuple(max(1, int(side * scale)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale


def enlarged(labels, size) -> np.ndarray:
    """Labels at SIZE (H, W) by the nearest pixel."""
    import cv2

    return labels if labels.shape == tuple(size) else cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)


def pictures(given: list) -> list:
    """Paths of the pictures that are GIVEN, files or folders of them. Raises FileError."""
    found = []
    for path in map(Path, given):
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in ENDINGS)
            if not inside:
                raise FileError(f"{path}: no picture in it; the endings are {', '.join(ENDINGS)}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise FileError(f"{path}: no such picture or folder; correct the path")
    stems = [path.stem for path in found]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise FileError(f"{twice[0]}: two pictures have this name, and their masks would too; predict them one by one")
    return found


def write(model: Model, given: list, out, say, boxes=None, longest: int = LONGEST) -> None:
    """Write OUT/NAME.png (class numbers), OUT/NAME_overlay.png and OUT/classes.txt for the pictures GIVEN; where the
    chain finds instances, OUT/NAME_instances.png (16 bits) too. SAY the classes of each. Raises FileError."""
    out, files = Path(out), pictures(given)
    save_text(out / "classes.txt", "".join(f"{number} {name}\n" for number, name in enumerate(model.classes)))
    for path in files:
        image = read_rgb(path, by_exif=True)
        labels = model.predict(image, boxes, longest)
        save_png(out / f"{path.stem}.png", labels, model.predictor.palette)
        save_png(out / f"{path.stem}_overlay.png", model.overlay(image, labels))
        if model.predictor.instances is not None:
            _save_numbers(out / f"{path.stem}_instances.png", model.instances(image, longest)[0])
        say(f"{path}: {contents(labels, model)}; {paths.shown(out / f'{path.stem}_overlay.png')}")


def contents(labels, model: Model) -> str:
    """The classes of a label map by their area, the largest first: 'dog 31 %, person 4 %'."""
    numbers, counts = np.unique(labels, return_counts=True)
    if model.predictor.of_boxes:
        return f"{len(numbers[numbers > 0])} objects"
    shown = [(count, model.classes[number]) for number, count in zip(numbers, counts, strict=True)
             if number != model.predictor.background and number < len(model.classes)]
    return ", ".join(f"{name} {100 * count / labels.size:.0f} %" for count, name in sorted(shown, reverse=True)) or (
        "nothing but background")


def _save_numbers(path, ids) -> None:
    from PIL import Image

    with whole(path) as file:
        Image.fromarray(ids).save(file, format="PNG")


def finished(project, runs) -> list:
    """Experiments below RUNS whose last stage is finished."""
    return [title for title in experiments.begun_seeds(runs, experiments.names(project))
            if any(manifest.read(path.parent) for path in Path(runs, title).glob(f"*/{manifest.NAME}"))]
