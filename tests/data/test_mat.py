"""MAT files: what SciPy writes passes, what would end the interpreter is refused."""

import io

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from wsnb.data import mat
from wsnb.files import FileError


def cells(*values):
    made = np.empty((len(values), 1), object)
    made[:, 0] = values
    return made


def written(content, **options):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, **options)
    return buffer.getvalue()


CONTENTS = {
    "numbers": {"a": np.float32([[1, 2]]), "b": np.int64(5), "c": np.array([1 + 2j]), "d": np.zeros((0, 6))},
    "texts": {"a": "text äö", "b": np.array(["ab", "cde"]), "c": np.array([True])},
    "cells": {"a": cells(np.arange(3), "x", cells(np.eye(2)))},
    "structs": {"a": {"b": {"c": [1, 2]}, "d": np.uint8([[1]])}},
    "sparse": {"a": cells(scipy.sparse.csc_matrix(np.eye(4)), scipy.sparse.csc_matrix((5, 6)))},
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_scipy_writes_is_read(kind, packed, tmp_path):
    (tmp_path / "a.mat").write_bytes(written(CONTENTS[kind], do_compression=packed))
    assert set(mat.load(tmp_path / "a.mat")) == set(CONTENTS[kind])


def test_types_and_sizes_that_scipy_trusts_are_refused(tmp_path):
    """A type that there is not, a length beyond the file, a size of gigabytes, a class of other programs."""
    data = written({"a": np.arange(6, dtype=np.int16).reshape(2, 3)})
    begin = data.index(b"\x0c\x00\x00\x00", 176)  # 12 bytes of numbers
    damages = ((begin - 2, b"\x65\x38"), (begin - 4, b"\x41\x00"), (160, b"\x00\x00\x00\x7f"), (144, b"\x11"))
    for place, changed in damages:
        path = tmp_path / "a.mat"
        path.write_bytes(data[:place] + changed + data[place + len(changed):])
        with pytest.raises(FileError, match="a.mat: no readable MAT file"):
            mat.load(path)
    for other in (b"", data[:100], written({"a": 1}, format="4"), data[:-3]):
        path.write_bytes(other)
        with pytest.raises(FileError, match="a.mat: no readable MAT file"):
            mat.load(path)
