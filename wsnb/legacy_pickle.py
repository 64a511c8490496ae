"""Old pickled arrays (the papers' CAM files, label dictionaries), read without running what they contain: only NumPy
arrays and scalars, torch tensors and plain containers can come out."""

import io
import pickle

import numpy as np

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy._core.numeric", "numpy.core.numeric")


class Refused(ValueError):
    """The file asks for something that is neither an array nor a plain container."""


def load(data: bytes):
    """The value in an .npy of pickled objects or in a bare pickle. Raises Refused or ValueError."""
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
        raise Refused(f"it asks for {module}.{name}")


_STORAGES = {"FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16,
             "LongStorage": np.int64, "IntStorage": np.int32, "ByteStorage": np.uint8, "BoolStorage": np.bool_}


def _array(kind, shape, code):
    return np.ndarray.__new__(np.ndarray, shape, code)


def _scalar(dtype, data):
    return np.frombuffer(data if isinstance(data, bytes) else data.encode("latin1"), dtype)[0]


def _from_buffer(buffer, dtype, shape, order):
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _encode(text, encoding="utf-8"):
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"it encodes text as {encoding}")
    return text.encode("latin1")


def _storage(data):
    """A tensor's numbers, which torch.save wrote inside the pickle (IRN's CAM files)."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


def _tensor(storage, offset, size, stride, *_):
    """A tensor over its storage, as a NumPy array."""
    import torch

    flat = storage if isinstance(storage, torch.Tensor) else torch.tensor([], dtype=storage.dtype).set_(storage)
    return torch.as_strided(flat, size, stride, offset).numpy().copy()
