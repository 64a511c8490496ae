"""Files are whole or not there, and reading one never runs it."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wsnb import files
from wsnb.files import FileError
from wsnb.run.cli import main

MASK = np.arange(12, dtype=np.uint8).reshape(3, 4)
NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
SAVERS = {  # kind -> (write it, read it)
    "npz": (lambda path: files.save_npz(path, a=np.arange(50), b=np.eye(3)), files.load_npz),
    "pth": (lambda path: files.save_torch(path, {"w": torch.arange(50.0), "n": [1, "x"]}), files.load_torch),
    "json": (lambda path: files.save_json(path, {"a": [1, 2, {"b": None}]}), files.load_json),
    "png": (lambda path: files.save_png(path, NOISE[..., 0]), files.read_index),
    "rgb.png": (lambda path: files.save_png(path, NOISE), files.read_rgb),
    "jpg": (lambda path: Image.fromarray(NOISE).save(path), files.read_rgb),
}


def fail(*args, **kwargs):
    raise OSError(28, "No space left on device")


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("kind", [k for k in SAVERS if k != "jpg"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "old"])
def test_a_fault_leaves_the_name_alone(tmp_path, monkeypatch, kind, call, before):
    path = tmp_path / f"x.{kind}"
    if before:
        path.write_bytes(b"the earlier file")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space"):
        SAVERS[kind][0](path)
    assert names(tmp_path) == ([path.name] if before else [])
    assert not before or path.read_bytes() == b"the earlier file"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_body_leaves_the_name_alone(tmp_path, error):
    path = tmp_path / "deep/er/x.txt"
    files.save_text(path, "earlier")
    with pytest.raises(error), files.write(path, "w") as file:
        file.write("half of")
        file.flush()
        assert path.read_text() == "earlier"
        raise error
    assert path.read_text() == "earlier" and names(path.parent) == ["x.txt"]


def test_nothing_shows_before_the_end(tmp_path):
    with files.write(tmp_path / "x") as file:
        file.write(b"1")
        assert not (tmp_path / "x").exists() and all(n.startswith(".") for n in names(tmp_path))
    assert names(tmp_path) == ["x"] and (tmp_path / "x").read_bytes() == b"1"


def test_text_is_utf8_and_json_refuses_nan(tmp_path):
    files.save_text(tmp_path / "t", "Krähenbühl")
    assert (tmp_path / "t").read_bytes() == "Krähenbühl".encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.save_json(tmp_path / "j", {"a": float("nan")})
    assert names(tmp_path) == ["t"]


@pytest.mark.parametrize("kind", SAVERS)
def test_round_trip_and_truncation(tmp_path, kind):
    path = tmp_path / f"file.{kind}"
    save, read = SAVERS[kind]
    save(path)
    value, whole = read(path), path.read_bytes()
    shortest = len(whole) - (24 if kind.endswith("png") else 2 if kind == "json" else 1)
    for cut in {*range(1, len(whole), max(1, len(whole) // 60)), *range(len(whole) - 30, len(whole))} - {0}:
        path.write_bytes(whole[:cut])
        try:
            found = read(path)
        except FileError as error:
            assert str(path) in str(error)
        else:  # only a checksum, an empty last chunk or a line break is missing
            assert cut >= shortest and np.array_equal(found, value)
    with pytest.raises(FileError, match="none"):
        read(tmp_path / f"none.{kind}")


@pytest.mark.parametrize("kind", [k for k in SAVERS if k != "pth"])
def test_empty_and_foreign_files(tmp_path, kind):
    path = tmp_path / f"file.{kind}"
    for content in (b"", b"<html>404</html>" * 9):
        path.write_bytes(content)
        with pytest.raises(FileError, match=str(path)):
            SAVERS[kind][1](path)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def object_array(bomb):
    array = np.empty(1, object)
    array[0] = bomb
    return array


BOMBS = {
    "pth": lambda path, bomb: torch.save({"a": bomb}, path),
    "old.pth": lambda path, bomb: torch.save([bomb], path, _use_new_zipfile_serialization=False),
    "pickle.pth": lambda path, bomb: path.write_bytes(pickle.dumps(bomb)),
    "npy": lambda path, bomb: np.save(path, object_array(bomb), allow_pickle=True),
    "npz": lambda path, bomb: np.savez(path, a=np.arange(3), b=object_array(bomb)),
    "pickle.npz": lambda path, bomb: path.write_bytes(pickle.dumps(bomb)),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_malicious_pickle_never_runs(tmp_path, kind):
    crater, path = tmp_path / "crater", tmp_path / f"x.{kind}"
    BOMBS[kind](path, Bomb(crater))
    read = files.load_torch if kind.endswith("pth") else files.load_npz
    with pytest.raises(FileError, match=str(path)):
        read(path)
    for name in ("weights", "tags"):
        assert main(["data", "doctor", name, str(path)]) == 1
    assert not crater.exists()
    pickle.loads(pickle.dumps(Bomb(crater)))  # the bomb is live
    assert crater.exists()


@pytest.mark.parametrize("relative", ["../x", "a/../../x", "/etc/passwd", "out/x", "out", "chain/x"])
def test_inside_refuses_to_leave(tmp_path, relative):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "chain").symlink_to(root / "out")
    with pytest.raises(FileError, match="leaves"):
        files.inside(root, relative)


@pytest.mark.parametrize("relative", ["", ".", "a", "a/../b", "b c/ü{x}.png", "within/x", "..a/x"])
def test_inside_accepts_what_stays(tmp_path, relative):
    (tmp_path / "a").mkdir()
    (tmp_path / "within").symlink_to(tmp_path / "a")
    found = files.inside(tmp_path, relative)
    assert found == tmp_path.resolve() or tmp_path.resolve() in found.parents


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path):
    (tmp_path / "run2").mkdir()
    with pytest.raises(FileError):
        files.inside(tmp_path / "run", "../run2/x")


def test_index_maps_read_alike_from_palette_and_grey(tmp_path):
    files.save_png(tmp_path / "p.png", MASK)
    Image.fromarray(MASK).save(tmp_path / "l.png")
    with Image.open(tmp_path / "p.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:21], files.voc_palette()[:21])
        assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)
    for name in ("p.png", "l.png"):
        found = files.read_index(tmp_path / name)
        assert found.dtype == np.uint8 and np.array_equal(found, MASK)


def test_every_label_survives_a_palette_png(tmp_path):
    everything = np.arange(256, dtype=np.uint8).reshape(16, 16)
    files.save_png(tmp_path / "x.png", everything)
    assert np.array_equal(files.read_index(tmp_path / "x.png"), everything)
    assert files.voc_palette()[[0, 1, 15, 255]].tolist() == [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]


@pytest.mark.parametrize("image", [Image.new("RGB", (4, 3)), Image.new("I;16", (4, 3)), Image.new("RGBA", (4, 3)),
                                   Image.new("1", (4, 3)), Image.new("LA", (4, 3))], ids=lambda image: image.mode)
def test_index_maps_refuse_other_modes(tmp_path, image):
    image.save(tmp_path / "x.png")
    with pytest.raises(FileError, match=f"x.png: mode {image.mode}.*convert"):
        files.read_index(tmp_path / "x.png")


def test_rgb_round_trip_and_grey_pictures(tmp_path):
    files.save_png(tmp_path / "c.png", NOISE)
    assert np.array_equal(files.read_rgb(tmp_path / "c.png"), NOISE)
    Image.fromarray(MASK).save(tmp_path / "g.png")
    assert np.array_equal(files.read_rgb(tmp_path / "g.png"), MASK[..., None].repeat(3, 2))


@pytest.mark.parametrize("array", [np.zeros((3, 4)), np.zeros((3, 4), np.int64), np.zeros(4, np.uint8),
                                   np.zeros((1, 3, 4, 3), np.uint8)], ids=lambda a: f"{a.dtype} {a.ndim}-d")
def test_save_png_refuses_other_arrays(tmp_path, array):
    with pytest.raises(FileError, match="uint8"):
        files.save_png(tmp_path / "x.png", array)
    assert names(tmp_path) == []


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_what_a_killed_process_left_is_cleared(tmp_path):
    kept = [tmp_path / name for name in ("whole.json", ".notes.tmp", ".whole.12.bak", "a/.hidden")]
    (tmp_path / "a").mkdir()
    half = tmp_path / "a" / ".labels.png.4711.tmp"
    for path in (*kept, half):
        path.write_text("x")
    files.clear_half_written(tmp_path)
    assert not half.exists() and all(path.exists() for path in kept)


def test_one_flipped_bit_of_a_mask_or_a_checkpoint_is_an_error(tmp_path):
    """A label map's pixels and a checkpoint's numbers are under checksums of their formats, which are compared."""
    rng = np.random.default_rng(0)
    files.save_png(tmp_path / "a.png", rng.integers(0, 21, (40, 60)).astype(np.uint8))
    files.save_torch(tmp_path / "a.pth", {"weight": torch.randn(8, 8)})
    for name, read, count in (("a.png", files.read_index, 200), ("a.pth", files.load_torch, 60)):
        data, right, silent = (tmp_path / name).read_bytes(), read(tmp_path / name), 0
        for bit in rng.choice(8 * len(data), count, replace=False):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            (tmp_path / f"b{name}").write_bytes(changed)
            try:
                found = read(tmp_path / f"b{name}")
            except FileError as error:
                assert name in str(error)
            else:
                same = torch.equal(found["weight"], right["weight"]) if name == "a.pth" else (found == right).all()
                silent += not same
        print(f"{name}: {count} flipped bits, {silent} changed a value without a word")
        assert silent == 0


def test_messages_and_logs_hold_no_control_characters_and_no_floods():
    said = str(files.FileError("a\x1b[2J\rb\u202ec\n\tü" + "x" * 5000))
    assert said.startswith("a\\x1b[2J\\rb\\u202ec\n\tüxxx") and len(said) < 1100 and " ... " in said
    assert str(files.FileError("one\ntwo")) == "one\ntwo" and str(files.NoRoom("full")) == "full"
    assert isinstance(files.NoRoom("full"), OSError) and str(pickle.loads(pickle.dumps(files.FileError("a")))) == "a"


def test_formats_that_start_programs_are_refused(tmp_path):
    """Pillow would hand PostScript to Ghostscript, whatever the name says."""
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(FileError, match="a.jpg: not a readable picture .no picture of JPEG"):
        files.read_rgb(tmp_path / "a.jpg")


def test_no_other_place_opens_pictures():
    """All pictures come through files.open_image, which knows the formats."""
    for path in (Path(files.__file__).parent).rglob("*.py"):
        assert path.name == "files.py" or "Image.open(" not in path.read_text(), path
