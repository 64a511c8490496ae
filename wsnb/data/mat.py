"""MAT files (MATLAB 5 to 7.2), whose structure is checked before SciPy reads them.

SciPy trusts the types and lengths in a file: a damaged one ends the interpreter.
"""

import math
import struct
import zlib

from wsnb.files import FileError, regular

MATRIX, COMPRESSED = 14, 15
BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}  # of the types of numbers
CELL, STRUCT, TEXT, SPARSE = 1, 2, 4, 5  # classes of arrays; the next ten are of numbers
LAST_CLASS, COMPLEX, DEPTH = 15, 0x800, 20


def load(path, names=None) -> dict:
    """Read {name: array} of the variables NAMES, or of all. Raises FileError for a missing or damaged file."""
    from scipy.io import loadmat  # half a second, which the runner spares

    path = regular(path)
    try:
        with open(path, "rb") as file:
            check(file.read())
            file.seek(0)
            found = loadmat(file, variable_names=names)
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run `wsnb data doctor` to list all that is missing") from error
    except Exception as error:  # of SciPy and zlib for damaged files
        raise FileError(f"{path}: no readable MAT file ({error}); fetch or make it again") from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def check(data: bytes) -> None:
    """Raise ValueError unless DATA is a MAT file whose parts lie within each other and have known types."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or data[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise ValueError("it is not of MATLAB 5 to 7.2")
    place = 128
    while place < len(data):
        kind, start, end, place = _part(data, place, len(data), order)
        if kind == COMPRESSED:
            inside = zlib.decompress(data[start:end])
            kind, start, end, _ = _part(inside, 0, len(inside), order)
            _array(inside, start, end, order, DEPTH, kind)
        else:
            _array(data, start, end, order, DEPTH, kind)


def _part(data, place, stop, order):
    """(type, where its content begins and ends, where the next part begins) of the part at PLACE."""
    if place + 8 > stop:
        raise ValueError("it ends inside a part")
    kind, size = struct.unpack_from(f"{order}II", data, place)
    if kind >> 16:  # up to four bytes in the place of the length
        kind, size, start, following = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        if size > 4:
            raise ValueError("a short part has more than four bytes")
    else:
        start = place + 8
        following = start + size + (0 if kind == COMPRESSED else -size % 8)
    if kind not in BYTES and kind not in (MATRIX, COMPRESSED) or start + size > stop:
        raise ValueError(f"a part of type {kind} with {size} bytes cannot be there")
    return kind, start, start + size, min(following, stop)


def _array(data, start, stop, order, depth, kind):
    """Check the array between START and STOP: flags, size, name, then what its class has."""
    if kind != MATRIX or not depth:
        raise ValueError("it holds something else than arrays, or arrays too deep")
    if start == stop:  # an empty array
        return
    parts, place = [], start
    for _ in range(3):
        part_kind, begin, end, place = _part(data, place, stop, order)
        parts.append((part_kind, begin, end))
    (_, flags, end_flags), (_, dims, end_dims), _ = parts
    if parts[0][0] != 6 or end_flags - flags != 8 or parts[1][0] != 5 or (end_dims - dims) % 4 or end_dims - dims < 8:
        raise ValueError("an array has no class or no size")
    word, = struct.unpack_from(f"{order}I", data, flags)
    shape = struct.unpack_from(f"{order}{(end_dims - dims) // 4}i", data, dims)
    count, array_class = math.prod(shape), word & 0xFF
    if min(shape) < 0 or len(shape) > 32 or not CELL <= array_class <= LAST_CLASS or array_class == 3:
        raise ValueError(f"an array of class {array_class} and size {shape[:4]} cannot be read")
    if array_class == STRUCT:
        count *= _fields(data, place, stop, order)
        place = _after(data, place, stop, order, 2)
    if array_class in (CELL, STRUCT):
        for _ in range(count):
            part_kind, begin, end, place = _part(data, place, stop, order)
            _array(data, begin, end, order, depth - 1, part_kind)
        return
    for number in range((3 if array_class == SPARSE else 1) + bool(word & COMPLEX)):
        part_kind, begin, end, place = _part(data, place, stop, order)
        if part_kind not in BYTES or (end - begin) % BYTES[part_kind]:
            raise ValueError("an array's numbers have no type")
        if array_class not in (SPARSE, TEXT) and (end - begin) // BYTES[part_kind] != count:
            raise ValueError(f"an array of size {shape[:4]} has {(end - begin) // BYTES[part_kind]} numbers")
        if array_class == SPARSE and number < 2 and BYTES[part_kind] != 4:
            raise ValueError("a sparse array has no places")
        if array_class == TEXT and count > end - begin:
            raise ValueError("a text ends early")


def _fields(data, place, stop, order) -> int:
    """How many fields a struct has: its first part is the length of a name, its second the names."""
    kind, begin, end, place = _part(data, place, stop, order)
    _, first, last, _ = _part(data, place, stop, order)
    if kind != 5 or end - begin != 4:
        raise ValueError("a struct has no names")
    length, = struct.unpack_from(f"{order}i", data, begin)
    if length < 1 or (last - first) % length:
        raise ValueError("a struct has no names")
    return (last - first) // length


def _after(data, place, stop, order, count) -> int:
    for _ in range(count):
        place = _part(data, place, stop, order)[3]
    return place
