"""Files: written whole or not at all, read without running anything that they contain.

Checksums that a format has are compared: of the chunks of a PNG, of the members of a checkpoint.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import pickle
import pickletools
import re
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # but for line breaks and tabs
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM")  # of pictures; Pillow would start programs for some others
PAGED = ("PNG", "TIFF", "WEBP")  # of these files hold several pictures, or a moving one


class FileError(ValueError):
    """A file that cannot be used; the message names it and the remedy. Long lines lose their middle."""

    def __init__(self, message=""):
        super().__init__(readable(message))


def printable(text: str) -> str:
    """TEXT with control characters written out: a terminal would obey them."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def readable(message) -> str:
    """MESSAGE, `printable`, with lines of at most 1000 characters: it may quote what it found in a damaged file."""
    lines = printable(str(message)).split("\n")
    return "\n".join(line if len(line) <= 1000 else f"{line[:500]} ... {line[-500:]}" for line in lines)


class NoRoom(FileError, OSError):
    """A file that does not fit on its disk; the message names it, the room there is and what it needs."""


@contextlib.contextmanager
def write(path, mode="wb", size=0):
    """Open PATH for writing; its name only ever shows a complete file.

    The text goes to a temporary file beside it, then fsync, rename, fsync of the folder. Raises OSError as open does,
    NoRoom on a full disk; nothing is left behind after an error. SIZE: bytes that it will have, as far as is known.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        held = temporary.stat().st_size if temporary.exists() else 0
        temporary.unlink(missing_ok=True)
        if full := _full(error):
            needs = f"it needs {size / 1e6:.2f} MB" if size else f"it needs more than {held / 1e6:.2f} MB"
            free = shutil.disk_usage(path.parent).free / 1e6
            raise NoRoom(f"{path}: cannot be written ({full.strerror}); {needs}, {free:.2f} MB are free there: make "
                         "room and start again") from error
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _full(error):
    """The error of a full disk, a quota or a limit of size behind ERROR: libraries raise their own after it."""
    while error is not None and getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        error = error.__cause__ or error.__context__
    return error


def clear_half_written(folder) -> None:
    """Delete the temporary files that `write` left below FOLDER when its process was killed."""
    for path in Path(folder).rglob(".*.tmp"):
        if path.suffixes[-2:-1] and path.suffixes[-2][1:].isdigit():
            path.unlink(missing_ok=True)


def inside(root, relative) -> Path:
    """ROOT / RELATIVE, with links resolved. Raises FileError if that lies outside ROOT."""
    root = Path(root).resolve()
    try:
        path = (root / relative).resolve()
    except (RuntimeError, ValueError) as error:  # a loop of links, a NUL character
        raise FileError(f"{relative!r} is not a path below {root} ({error}); use another") from error
    if path != root and root not in path.parents:
        raise FileError(f"{relative!r} leaves {root}: use a path below it")
    return path


def sha256(path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error}); check the path") from error


def regular(path) -> Path:
    """Return PATH. Raises FileError for a pipe or a device, at which a reader would wait, and for a folder; not for a
    file that is missing."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileError(f"{path}: a folder, a pipe or a device, not a file; remove it, or give another path")
    return path


def read_text(path) -> str:
    """Read UTF-8 text, a byte order mark left out. Raises FileError if it cannot be read or is none."""
    try:
        return regular(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def save_text(path, text) -> None:
    """Write text as UTF-8."""
    with write(path, "w") as file:
        file.write(text)


def save_json(path, value) -> None:
    """Write VALUE as indented JSON with sorted keys. Raises ValueError for NaN, which JSON readers refuse."""
    with write(path, "w") as file:
        json.dump(value, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")


def load_json(path):
    """Read a JSON file. Raises FileError if it is missing or damaged."""
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        reason = "lists within lists without end"
    except ValueError as error:  # of _once, or Python's for a number of thousands of digits
        reason = str(error) if str(error).startswith("the key") else "a number of thousands of digits"
    raise FileError(f"{path}: cannot be read as JSON ({reason}); write it again, as UTF-8 text")


def _once(pairs) -> dict:
    """Make a dictionary of PAIRS. Raises ValueError for a key that occurs twice: one of its values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


def save_npz(path, **arrays) -> None:
    """Write named arrays, compressed."""
    with write(path) as file:
        np.savez_compressed(file, **arrays)


def load_npz(path) -> dict:
    """Read named arrays; pickled objects are refused. Raises FileError."""
    path = regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
            if bytes in map(type, found.values()):  # NumPy's way with what is no array
                raise ValueError("it holds something else")
            return found
    except Exception as error:  # of zipfile, zlib and NumPy for damaged archives, TypeError for a lone .npy
        raise FileError(f"{path}: not a readable .npz of plain arrays ({error}); make or fetch it again") from error


def _check_members(archive) -> None:
    """Raise ValueError if a zip's list leaves members out: the last one in it has to end where the list begins."""
    last = max(archive.infolist(), key=lambda one: one.header_offset, default=None)
    if last is not None:
        archive.fp.seek(last.header_offset + 26)
        name, extra = struct.unpack("<HH", archive.fp.read(4))
        end = last.header_offset + 30 + name + extra + last.compress_size
        if archive.start_dir - end not in range(25):  # a record of up to 24 bytes may stand between
            raise ValueError("its list of arrays is damaged")


class _ByValue:
    """What torch.save takes for the module pickle: equal values give equal bytes, whichever of them are one object."""

    class Pickler(pickle.Pickler):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.fast = True  # writes each text again; else bytes would tell which of them were read from a checkpoint


def save_torch(path, value) -> None:
    """Write tensors and plain containers with torch.save; equal values give equal bytes."""
    import torch

    with write(path, size=_bytes(value)) as file:
        torch.save(value, file, pickle_module=_ByValue)


def _bytes(value) -> int:
    """Bytes of all tensors in plain containers."""
    if isinstance(value, dict):
        value = list(value.values())
    return sum(map(_bytes, value)) if isinstance(value, list | tuple) else getattr(value, "nbytes", 0)


def load_torch(path, map_location="cpu"):
    """Read tensors and plain containers; code in the file never runs (weights_only). Raises FileError, also where a
    checksum of the file disagrees with its content."""
    import torch

    path = regular(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
                if damaged is not None:
                    raise ValueError(f"the checksum of {damaged} does not match")
                for name in archive.namelist():
                    if name.endswith("/data.pkl"):
                        _check_names(io.BytesIO(archive.read(name)), 1)
        else:
            with open(path, "rb") as file:
                _check_names(file, 5)  # format, version, machine, content, its tensors
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged pickle raises nearly anything: IndexError, struct.error, AssertionError
        if other := re.search(r"GLOBAL ([\w.]{1,200})", str(error)):
            raise FileError(f"{path}: holds {other[1]} beside tensors, numbers and text, and such files can run "
                            "programs; save the tensors alone where it was made: torch.save(model.state_dict(), "
                            "FILE)") from error
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise FileError(f"{path}: not a readable file of tensors ({reason}); fetch or make it again") from error


def _check_names(stream, count) -> None:
    """Raise ValueError for a name of thousands of letters in COUNT pickles: torch's message about it takes minutes."""
    for _ in range(count):
        words = ["", ""]
        for code, argument, _ in pickletools.genops(stream):
            if code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
                named = argument if isinstance(argument, str) else max(words[-2:], key=len)
                if len(named) > 1000:
                    raise ValueError(f"it asks for a name of {len(named)} letters")
            elif isinstance(argument, str):
                words = [words[-1], argument]


def open_image(path):
    """Open a picture, a file or a stream, as Pillow does, without its pixels. Raises FileError if it is missing or of a
    foreign format."""
    path = path if hasattr(path, "read") else regular(path)
    try:
        return Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run `wsnb data doctor` to list all that is missing") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(f"{path}: not a readable picture ({_why(error)}); fetch it again") from error


def loaded_image(path):
    """The same with its pixels; a PNG's checksums are compared."""
    image = open_image(path)
    try:
        if image.format == "PNG":
            _check_png(Path(path).read_bytes())
        if image.format in PAGED and image.n_frames > 1:
            raise ValueError(f"it holds {image.n_frames} pictures: save each as a file of its own")
        image.load()
    # Pillow raises TypeError for a TIFF that does not say its size
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(f"{path}: not a readable picture ({_why(error)}); fetch it again") from error
    return image


def _why(error) -> str:
    return "no picture of " + ", ".join(FORMATS) if isinstance(error, UnidentifiedImageError) else str(error)


def _check_png(data: bytes) -> None:
    """Compare the checksum of every chunk; Pillow leaves out those of the pixels. Raises ValueError."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        body, stored = data[place + 4:place + 8 + length], data[place + 8 + length:place + 12 + length]
        if len(stored) < 4:
            raise ValueError("it ends inside a chunk")
        if zlib.crc32(body) != int.from_bytes(stored, "big"):
            raise ValueError(f"the checksum of its chunk {kind.decode('latin1')} does not match")
        if kind == b"IEND":
            return
        place += 12 + length
    raise ValueError("it ends before its last chunk")


def read_rgb(path, by_exif=False) -> np.ndarray:
    """Read a picture as uint8 [H, W, 3], as it is stored, or turned as its EXIF data say (BY_EXIF). Raises FileError
    for missing, truncated or foreign files, and for other than 8 bits a colour, which would be clipped."""
    image = loaded_colour(path)
    return np.array((ImageOps.exif_transpose(image) if by_exif else image).convert("RGB"))


ON_ITS_SIDE = (5, 6, 7, 8)  # orientations whose height and width are exchanged when they are turned upright


def orientation(image) -> int | None:
    """Return the orientation 1..8 in the EXIF data of an opened picture; None where they name none."""
    return image.getexif().get(0x0112)


def loaded_colour(path):
    """Open a picture with its pixels if it converts to RGB without loss of range. Raises FileError."""
    image = loaded_image(path)
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        raise FileError(f"{path}: mode {image.mode}, but pictures have 8 bits a colour; scale it to 8 bits")
    return image


def read_index(path) -> np.ndarray:
    """Read a label map as uint8 [H, W], indices whatever the palette. Raises FileError for colour or 16 bits."""
    image = loaded_image(path)
    if image.format == "JPEG":
        raise FileError(f"{path}: a JPEG, whatever its ending, which changes labels; write the label map as PNG")
    if image.format == "PNG" and image.mode == "L" and _png_depth(path) < 8:
        raise FileError(f"{path}: grey with {_png_depth(path)} bits, whose values readers scale; write 8-bit indices")
    if image.mode not in ("P", "L"):
        raise FileError(f"{path}: mode {image.mode}, but labels are 8-bit palette or grey indices; convert it")
    return np.array(image)


def _png_depth(path) -> int:
    with open(path, "rb") as file:
        return file.read(25)[24]  # of the header chunk


def voc_palette() -> np.ndarray:
    """The PASCAL VOC colour map, uint8 [256, 3]: the k-th three bits of a label give bit 7 - k of red, green, blue."""
    labels = np.arange(256, dtype=np.int64)
    palette = np.zeros((256, 3), np.int64)
    for k in range(8):
        for channel in range(3):
            palette[:, channel] |= ((labels >> channel) & 1) << (7 - k)
        labels >>= 3
    return palette.astype(np.uint8)


def save_png(path, array, palette=None) -> None:
    """Write uint8 [H, W] as a PNG of label indices in the colours of PALETTE uint8 [256, 3] (VOC's), or uint8 [H, W, 3]
    as RGB."""
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        raise FileError(f"{path}: expected uint8 [H, W] or [H, W, 3], got {array.dtype} {array.shape}")
    image = Image.fromarray(array)
    if array.ndim == 2:
        image.putpalette((voc_palette() if palette is None else palette).tobytes())
    with write(path) as file:
        image.save(file, format="PNG")
