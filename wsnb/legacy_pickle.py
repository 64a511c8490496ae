"""Old pickled arrays (the papers' CAM files, label dictionaries), read without running anything that they contain.

They are rebuilt from shapes, types and bytes: only NumPy arrays and scalars, torch tensors and plain containers can
come out.
"""

import io
import pickle
import re

import numpy as np

from wsnb.files import FileError, regular


class _Refused(ValueError):
    """The file asks for something that is neither an array nor a plain container."""


def load_legacy_array(path):
    """Read an .npy of pickled objects or a bare pickle (CAM dictionaries, label tables): arrays (tensors become
    arrays), numbers, text and plain containers; nothing in the file runs. Raises FileError for anything else."""
    path = regular(path)
    try:
        return _unpickled(path.read_bytes())
    except _Refused as error:
        raise FileError(f"{path}: refused, {error}, not only arrays and plain containers; do not trust it") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise FileError(f"{path}: not a readable pickled array ({error}); fetch or make it again") from error


def _unpickled(data: bytes):
    stream = io.BytesIO(data)
    if data[:6] != b"\x93NUMPY":
        return _plain(_Unpickler(stream).load())
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if not dtype.hasobject:
        return np.load(io.BytesIO(data), allow_pickle=False)
    value = _plain(_Unpickler(stream).load())
    return value.item() if shape == () and isinstance(value, np.ndarray) else value


class _Unpickler(pickle.Unpickler):
    """Everything that a file may call is a class or function of this module."""

    def __init__(self, stream):
        super().__init__(stream, encoding="latin1")  # Python 2 wrote arrays as bytes that look like text

    def find_class(self, module, name):
        module = module.replace("numpy._core.", "numpy.core.")
        if (module, name) not in _ALLOWED:
            raise _Refused(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


class _Type:
    """A NumPy type as a pickle describes it: numbers, text or objects, without fields."""

    def __init__(self, code, *_):
        code = code.decode("latin1") if isinstance(code, bytes) else code
        if not re.fullmatch(r"[biufcSUO?]\d{0,6}", code):
            raise _Refused(f"it holds the type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        if any(part is not None for part in state[2:5]):
            raise _Refused("it holds a type with fields")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """A NumPy array as a pickle describes it; `value` is the array."""

    value = None

    def __init__(self, *_):  # the type of the array, its empty shape and code; the state says all that counts
        pass

    def __setstate__(self, state):
        _, shape, kind, fortran, data = state
        self.value = _filled(data, kind.dtype, shape, "F" if fortran else "C")


def _filled(data, dtype, shape, order):
    if not dtype.hasobject:
        data = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy()
    array = np.empty(len(data), object)
    array[:] = list(data)
    return array.reshape(shape, order=order)


def _from_buffer(buffer, kind, shape, order):
    if kind.dtype.hasobject:
        raise _Refused("it holds addresses")
    return np.frombuffer(buffer, kind.dtype).reshape(shape, order=order).copy()


def _scalar(kind, data):
    return _filled(data, kind.dtype, (1,), "C")[0]


def _encoded(text, encoding="utf-8"):
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"it encodes text as {encoding}")
    return text.encode("latin1")


def _no_call(*_):
    raise _Refused("it makes an array at an address of its own")


def _stored(data):
    """A tensor's numbers, which torch.save wrote inside the pickle (IRN's CAM files)."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


def _tensor(storage, offset, size, stride, *_):
    """A tensor over its storage, as a NumPy array."""
    import torch

    flat = storage if isinstance(storage, torch.Tensor) else torch.tensor([], dtype=storage.dtype).set_(storage)
    return torch.as_strided(flat, size, stride, offset).numpy().copy()


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): _no_call,
    ("numpy", "dtype"): _Type,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _encoded,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _stored,
}


def _plain(value):
    """VALUE with arrays in the place of what stood for them."""
    if isinstance(value, _Type) or (isinstance(value, _Array) and value.value is None):
        raise _Refused("it holds a type or an array without content")
    if isinstance(value, _Array):
        value = value.value
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        for index in np.ndindex(value.shape):
            value[index] = _plain(value[index])
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value
