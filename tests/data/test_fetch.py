"""Fetching: checksum, continuing, unpacking; from a server of the test's own, never from outside."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.data import tree
from wsnb.data import fetch, voc
from wsnb.files import FileError


@pytest.fixture
def server():
    """Serves `content` with ranges; cuts the first answer after `cut` bytes."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            web.ranges.append(start)
            body = web.content[start:]
            if start and not body:
                self.send_error(416)
                return
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:web.cut] if web.cut else body)
            web.cut = 0

        def log_message(self, *args):
            pass

    web = HTTPServer(("127.0.0.1", 0), Handler)
    web.content, web.cut, web.ranges = bytes(range(256)) * 20, 0, []
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    web.url = f"http://127.0.0.1:{web.server_port}/file"
    yield web
    web.shutdown()
    web.server_close()


def md5(data):
    return hashlib.md5(data).hexdigest()


def test_download_continues_after_a_cut(server, tmp_path):
    server.cut, seen = 1000, []
    path = fetch.download(server.url, tmp_path / "a.bin", md5(server.content), lambda *state: seen.append(state))
    assert path.read_bytes() == server.content and server.ranges == [0, 1000]
    assert seen[-1] == ("a.bin", 5120, 5120) and not (tmp_path / "a.bin.part").exists()
    fetch.download(server.url, path, md5(server.content))
    assert len(server.ranges) == 2, "what is there is not fetched again"


def test_download_continues_in_another_process(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(server.content[:3000])
    fetch.download(server.url, tmp_path / "a.bin", md5(server.content))
    assert server.ranges == [3000]
    (tmp_path / "a.bin").rename(tmp_path / "a.bin.part")  # killed between the last byte and the rename
    assert fetch.download(server.url, tmp_path / "a.bin", md5(server.content)).read_bytes() == server.content


def test_wrong_checksum(server, tmp_path):
    with pytest.raises(FileError, match="thrown away"):
        fetch.download(server.url, tmp_path / "a.bin", md5(b"other"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(FileError, match="remove it"):
        fetch.download(server.url, tmp_path / "a.bin", md5(b"other"))
    assert (tmp_path / "a.bin").read_bytes() == b"mine"


def test_no_network(tmp_path):
    with pytest.raises(FileError, match="Call again") as caught:
        fetch.download("http://127.0.0.1:9/nothing.tar", tmp_path / "nothing.tar", "0" * 32)
    assert "put it at" in str(caught.value)


def archive(path, base, members=()):
    with tarfile.open(path, "w") as tar:
        for folder in base.iterdir():
            tar.add(folder, folder.name)
        for name in members:
            tar.addfile(tarfile.TarInfo(name) if isinstance(name, str) else name, io.BytesIO())
    return path


def test_voc12_from_archives_that_lie_there(tmp_path, monkeypatch):
    from torchvision.datasets import SBDataset
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    tree.voc(tmp_path / "a/VOCdevkit")
    tree.sbd(tmp_path / "b")
    root = tmp_path / "root"
    root.mkdir()
    one = archive(root / "VOCtrainval_11-May-2012.tar", tmp_path / "a")
    two = archive(root / "benchmark.tgz", tmp_path / "b")
    monkeypatch.setitem(DATASET_YEAR_DICT["2012"], "md5", md5(one.read_bytes()))
    monkeypatch.setattr(SBDataset, "md5", md5(two.read_bytes()))
    devkit = fetch.voc12(root)
    assert devkit == root / "VOCdevkit" and len(voc.items(devkit, "trainaug")) == 4
    one.unlink()
    said = []
    fetch.fetch("voc12", root, said.append)  # whole already: the archive is not wanted again
    assert "doctor voc12" in said[0] and "registration" in said[1]


@pytest.mark.parametrize("member", ["../outside", "/tmp/outside"])
def test_archive_members_stay_inside(tmp_path, member):
    (tmp_path / "a/folder").mkdir(parents=True)
    path = archive(tmp_path / "bad.tar", tmp_path / "a", [member])
    with pytest.raises(FileError, match="use a path below it"):
        fetch.unpack(path, "folder", tmp_path / "target/folder")
    assert not (tmp_path / "outside").exists() and not (tmp_path / "target/outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_of_archives_are_refused(tmp_path, kind):
    """A link, then a file through it; a chain of links so long that tarfile loses the way (CVE-2025-4517) begins so."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "a/folder").mkdir(parents=True)
    link = tarfile.TarInfo("folder/way")
    link.type, link.linkname = kind, "../../../outside"
    path = archive(tmp_path / "bad.tar", tmp_path / "a", [link, "folder/way/file"])
    with pytest.raises(FileError, match="bad.tar: 'folder/way' is a link or a device"):
        fetch.unpack(path, "folder", tmp_path / "target/folder")
    assert not list((tmp_path / "outside").iterdir()) and not list((tmp_path / "target").iterdir())


def test_broken_archives(tmp_path):
    (tmp_path / "a/folder").mkdir(parents=True)
    path = archive(tmp_path / "a.tar", tmp_path / "a")
    with pytest.raises(FileError, match="holds no other"):
        fetch.unpack(path, "other", tmp_path / "target/other")
    path.write_bytes(b"not a tar")
    with pytest.raises(FileError, match="cannot be unpacked"):
        fetch.unpack(path, "folder", tmp_path / "target/folder")
    assert not list((tmp_path / "target").iterdir())


def test_words_on_the_other_sets():
    for name in ("cityscapes", "densepose", "imagenet_det", "voc12-test"):
        said = []
        fetch.fetch(name, "/nowhere", said.append)
        assert "http" in said[0] and "ROOT" in said[0]
    with pytest.raises(ValueError, match="cityscapes"):
        fetch.where("cityscape")
