"""One rule for names in one's own folders and tables: endings in any case, hidden files, separators, letters, classes.

Names are compared in Unicode's composed form (NFC): some systems store é as e and an accent.
"""

import re
import unicodedata
from pathlib import Path

from wsnb.files import FileError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
IGNORED = "__ignore__"  # LabelMe's name for unlabelled pixels, 255 in its masks
_NOTHING = ("bg", "none", "null", "nothing", "empty", "void", "ignore", "unlabeled", "unlabelled", "nan", "n/a", "na",
            "no object", "no_object", "negative")


def files(folder, endings) -> list[Path]:
    """List the files of FOLDER with one of ENDINGS, in any case; hidden ones (.DS_Store, ._x.png) are left out."""
    if not Path(folder).is_dir():
        raise FileError(f"{folder}: no folder; remove it, or give another path")
    return sorted(path for path in Path(folder).iterdir()
                  if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file())


def by_stem(folder, endings, errors: list) -> dict[str, Path]:
    """The same by name without ending; two files of one name go to ERRORS."""
    found = {}
    for path in files(folder, endings):
        name = stem(path.stem)
        if name in found:
            errors.append(f"{path}: {found[name].name} has the same name; rename one of them")
        found[name] = path
    return found


def stem(written: str) -> str:
    """Take folders and a picture's ending off a name as a label file has it, with / or \\."""
    path = Path(unicodedata.normalize("NFC", written).replace("\\", "/"))
    return path.stem if path.suffix.lower() in PICTURES else path.name


def plain(name: str) -> str:
    """Replace every character of NAME that a list or a command would misread by an underscore; letters of any script
    are kept."""
    kept = (c if c in "_-" or c.isalnum() or unicodedata.category(c)[0] == "M" else "_" for c in name)
    return "".join(kept).strip("_") or "picture"


def is_background(name: str) -> bool:
    """Tell whether NAME is a spelling of the background: Background, _background_ (LabelMe), __background__, ..."""
    return re.fullmatch(r"_*background_*", name.strip().lower()) is not None


def class_name(written) -> str:
    """Return the name of a class, its spaces single; any spelling of the background is "background".

    Raises FileError for an empty name, one with control characters, and one that seems to mean "no object".
    """
    if not isinstance(written, str) or not written.strip():
        raise FileError("a class has an empty name; give it one")
    name = " ".join(unicodedata.normalize("NFC", written).split())
    if not name.isprintable():
        raise FileError(f"the class {name!r} has characters that cannot be printed; rename it")
    low = name.lower()
    if is_background(name):
        return "background"
    if low in _NOTHING or low.strip("_") in _NOTHING:
        raise FileError(f"{name!r} seems to mean that there is no object; write background, or rename the class")
    return name


def only_classes(path, listed) -> None:
    """Raise FileError, naming PATH, unless LISTED are names of classes, of which the background can only be the first:
    each once, letters in any case, and none that seems to mean "no object"."""
    try:
        found = [class_name(name) for name in listed]
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    if "background" in found[1:]:
        raise FileError(f"{path}: the background is not the first line; put it first, for it is 0")
    if twice := alike(found):
        raise FileError(f"{path}: {' and '.join(twice)} stands there twice; give each class a name of its own")


def alike(listed) -> list[str]:
    """Names in LISTED that are equal but for their letters' case: those of the first such class, each once, in
    order."""
    same = {}
    for name in sorted(listed):
        same.setdefault(name.casefold(), []).append(name)
    return next((list(dict.fromkeys(found)) for found in same.values() if len(found) > 1), [])


def place(found: dict, kind: str):
    """The file or folder that labels of a KIND were read from, as messages name it; outlines are in the boxes' file."""
    return found["places"].get(kind) or found["places"].get("boxes") or kind
