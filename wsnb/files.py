"""Files: written whole or not at all, read without running anything that they contain.

Old pickled arrays (the papers' CAM files, label dictionaries) are read too: only NumPy arrays and scalars, torch
tensors and plain containers can come out of them.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy._core.numeric", "numpy.core.numeric")
_STORAGES = {"FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16,
             "LongStorage": np.int64, "IntStorage": np.int32, "ByteStorage": np.uint8, "BoolStorage": np.bool_}


class FileError(ValueError):
    """A file that cannot be used; the message names it and the remedy."""


@contextlib.contextmanager
def write(path, mode="wb"):
    """Open PATH for writing; its name only ever shows a complete file.

    The text goes to a temporary file beside it, then fsync, rename, fsync of the folder. Raises OSError as open does;
    nothing is left behind after an error.
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
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(
            f"{path}: cannot be read as JSON ({error}); make it again with the stage that writes it"
        ) from error


def save_npz(path, **arrays) -> None:
    """Write named arrays, compressed."""
    with write(path) as file:
        np.savez_compressed(file, **arrays)


def load_npz(path) -> dict:
    """Read named arrays; pickled objects are refused. Raises FileError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # of zipfile, zlib and NumPy for damaged archives, TypeError for a lone .npy
        raise FileError(f"{path}: not a readable .npz of plain arrays ({error}); make or fetch it again") from error


def save_torch(path, value) -> None:
    """Write tensors and plain containers with torch.save."""
    import torch

    with write(path) as file:
        torch.save(value, file)


def load_torch(path, map_location="cpu"):
    """Read tensors and plain containers; code in the file never runs (weights_only). Raises FileError."""
    import torch

    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged pickle raises nearly anything: IndexError, struct.error, AssertionError
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise FileError(f"{path}: not a readable file of tensors ({reason}); fetch or make it again") from error


def _open_image(path):
    try:
        image = Image.open(path)
        image.load()
        return image
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run `wsnb data doctor` to list all that is missing") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(f"{path}: not a readable picture ({error}); fetch it again") from error


def read_rgb(path) -> np.ndarray:
    """Read a picture as uint8 [H, W, 3]. Raises FileError for missing, truncated or foreign files."""
    return np.array(_open_image(path).convert("RGB"))


def read_index(path) -> np.ndarray:
    """Read a label map as uint8 [H, W], indices whatever the palette. Raises FileError for colour or 16 bits."""
    image = _open_image(path)
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


def load_legacy_array(path):
    """Read an old .npy of pickled objects (CAM dictionaries, label tables): arrays (tensors become arrays), numbers,
    text and plain containers; nothing in the file runs. Raises FileError for anything else."""
    try:
        return _unpickle(Path(path).read_bytes())
    except _Refused as error:
        raise FileError(f"{path}: refused, {error}, not only arrays and plain containers; do not trust it") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise FileError(f"{path}: not a readable pickled array ({error}); fetch or make it again") from error


class _Refused(ValueError):
    """The file asks for something that is neither an array nor a plain container."""


def _unpickle(data: bytes):
    """Read the value in an .npy of pickled objects or in a bare pickle. Raises _Refused or ValueError."""
    stream = io.BytesIO(data)
    if data[:6] == b"\x93NUMPY":
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if not dtype.hasobject:
            return np.load(io.BytesIO(data), allow_pickle=False)
        value = _Reader(stream).load()
        return value.item() if shape == () and isinstance(value, np.ndarray) else value
    return _Reader(stream).load()


class _Reader(pickle.Unpickler):
    def __init__(self, stream):
        super().__init__(stream, encoding="latin1")  # Python 2 wrote arrays as bytes that look like text

    def find_class(self, module, name):
        if module in _MULTIARRAY and name == "_reconstruct":
            return _array
        if module in _MULTIARRAY and name == "scalar":
            return _scalar
        if module in _NUMERIC and name == "_frombuffer":
            return _from_buffer
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        raise _Refused(f"it asks for {module}.{name}")


def _array(kind, shape, code):
    return np.ndarray.__new__(np.ndarray, shape, code)


def _scalar(dtype, data):
    return np.frombuffer(data if isinstance(data, bytes) else data.encode("latin1"), dtype)[0]


def _from_buffer(buffer, dtype, shape, order):
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _encode(text, encoding="utf-8"):
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"it encodes text as {encoding}")
    return text.encode("latin1")


def _storage(data):
    """Read a tensor's numbers, which torch.save wrote inside the pickle (IRN's CAM files)."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


def _tensor(storage, offset, size, stride, *_):
    """A tensor over its storage, as a NumPy array."""
    import torch

    flat = storage if isinstance(storage, torch.Tensor) else torch.tensor([], dtype=storage.dtype).set_(storage)
    return torch.as_strided(flat, size, stride, offset).numpy().copy()
