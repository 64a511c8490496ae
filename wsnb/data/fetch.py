"""Get data sets: PASCAL VOC 2012 and SBD by themselves, the others by telling where they are to be had.

Addresses and checksums are torchvision's. An interrupted download continues where it stopped; an archive that lies in
the root already is used. Archives are unpacked beside their place and renamed; a folder that is there is whole.
"""

import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from wsnb.files import FileError, inside

_CHUNK = 1 << 20
_ELSEWHERE = {
    "voc12-test": (
        "The test pictures of PASCAL VOC 2012 need a registration at http://host.robots.ox.ac.uk:8080/ .",
        "Unpack VOC2012test.tar so that ROOT/VOCdevkit/VOC2012/ImageSets/Segmentation/test.txt is there, or, as in",
        "the original program, beside VOCdevkit as ROOT/voc_test/VOCdevkit/VOC2012."),
    "sbd": (
        "SBD comes with `wsnb data fetch voc12` (ROOT/VOCdevkit/benchmark_RELEASE), or by hand from",
        "http://home.bharathh.info/pubs/codes/SBD/download.html : unpack benchmark.tgz so that",
        "ROOT/benchmark_RELEASE/dataset/{img,cls,inst,train.txt,val.txt} are there.",
        "Then: wsnb data doctor sbd ROOT"),
    "cityscapes": (
        "Cityscapes needs a registration at https://www.cityscapes-dataset.com .",
        "Take leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, and for train_extra leftImg8bit_trainextra.zip",
        "and gtCoarse.zip; unpack them into one folder, so that ROOT/leftImg8bit/train/aachen/...,",
        "ROOT/gtFine/train/aachen/... and ROOT/gtCoarse/train_extra/augsburg/... are there. Train ids are made from",
        "the label ids while reading; *TrainIds.png of the official tools are taken where they are.",
        "Then: wsnb data doctor cityscapes ROOT (of train_extra, troisdorf_000000_000073 is known to be corrupt: leave",
        "it out with a list, `train_extra:LIST.txt`)."),
    "densepose": (
        "DensePose-COCO: pictures train2014.zip and val2014.zip from https://cocodataset.org , annotations",
        "densepose_coco_2014_{train,minival,valminusminival}.json from https://densepose.org .",
        "Put them so that ROOT/images/train2014/*.jpg, ROOT/images/val2014/*.jpg and ROOT/annotations/*.json are",
        "there. Then: wsnb data convert densepose ROOT (masks of the parts as PNG, and lists), and",
        "wsnb data doctor densepose ROOT. The PNGs and lists of SPML are read as well: ROOT/segcls/densepose/gray,",
        "ROOT/segcls/densepose_points/gray, ROOT/seginst/..., ROOT/lists/*.txt."),
    "coco": (
        "COCO is at https://cocodataset.org : of 2014 train2014.zip, val2014.zip and annotations_trainval2014.zip, of",
        "2017 train2017.zip, val2017.zip and annotations_trainval2017.zip. Unpack them so that",
        "ROOT/images/train2017/*.jpg (or ROOT/train2017/*.jpg) and ROOT/annotations/instances_train2017.json are",
        "there, the others likewise. Then: wsnb data convert coco ROOT (masks, objects, boxes and tags of every",
        "picture), and wsnb data doctor coco ROOT"),
    "imagenet_det": (
        "ImageNet DET needs an account at https://image-net.org : take ILSVRC2017_DET.tar.gz; the image lists (*.json)",
        "and the validation masks are those of the LID challenge, track 1: https://lidchallenge.github.io .",
        "Put them so that ROOT/ILSVRC/Data/DET/train/... with the lists and idx_to_name.json in it, and",
        "ROOT/LID_track1/val/*.JPEG with val.txt and masks/*.png (raw indices, grey), are there.",
        "Then: wsnb data doctor imagenet_det ROOT"),
}


def fetch(name: str, root, say=print) -> None:
    """Get data set NAME into ROOT as far as it may be had without asking; SAY gets lines of progress and what to do.

    Raises ValueError for an unknown name, FileError as `voc12` does.
    """
    if name != "voc12":
        say(where(name))
        return
    last, ended = {}, set()

    def progress(what, done, total):
        now = time.monotonic()
        if what not in ended and (now - last.get(what, 0) >= 5 or done == total):
            last[what] = now
            ended.update([what] if done == total else [])
            say(f"{what}: {done >> 20:,} of {total >> 20:,} MiB" if total else f"{what}: {done >> 20:,} MiB")

    devkit = voc12(root, progress=progress)
    say(f"{devkit} is there; `wsnb data doctor voc12 {devkit}` looks at every file")
    say(where("voc12-test"))


def where(name: str) -> str:
    """How to get a data set that nobody may hand out freely: where to register, where to put the files."""
    if name not in _ELSEWHERE:
        raise ValueError(f"no data set {name!r}: voc12 is fetched, and there are words on {', '.join(_ELSEWHERE)}")
    return "\n".join(_ELSEWHERE[name])


def voc12(root, with_sbd: bool = True, progress=None) -> Path:
    """Fetch PASCAL VOC 2012 (2.0 GB) and SBD (1.4 GB) into ROOT; returns ROOT/VOCdevkit, which the reader takes.

    PROGRESS(what, done, total) is called with bytes. What is there already is not fetched again. Raises FileError
    without a network, with a wrong checksum or too little room; each says how to go on.
    """
    from torchvision.datasets import SBDataset
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    root = Path(root).expanduser()
    official = DATASET_YEAR_DICT["2012"]
    jobs = [(official["url"], official["filename"], official["md5"], "VOCdevkit/VOC2012", "VOCdevkit")]
    if with_sbd:
        jobs.append((SBDataset.url, SBDataset.filename, SBDataset.md5, "benchmark_RELEASE", "VOCdevkit"))
    for url, filename, md5, folder, below in jobs:
        target = root / below / Path(folder).name
        if not target.exists():
            unpack(download(url, root / filename, md5, progress), folder, target, progress)
    return root / "VOCdevkit"


def download(url: str, path, md5: str, progress=None, tries: int = 3, timeout: float = 30) -> Path:
    """Fetch URL into PATH and check its MD5; returns PATH.

    What came before an interruption lies in PATH.part and is continued, if the server can. Raises FileError.
    """
    path = Path(path)
    if path.exists():
        if _md5(path) != md5:
            raise FileError(f"{path}: MD5 is not {md5}; remove it and fetch again")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(tries):
        try:
            _continue(url, part, timeout, progress)
            break
        except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if attempt == tries - 1 or refused or getattr(error, "errno", None) == 28:  # ENOSPC
                raise FileError(f"{url}: cannot be fetched ({error}). Call again to continue with what has come, or "
                                f"get {path.name} (MD5 {md5}) elsewhere and put it at {path}") from error
    if _md5(part) != md5:
        part.unlink()
        raise FileError(f"{url}: what came does not have MD5 {md5}; it was thrown away, fetch again")
    os.replace(part, path)
    return path


def _md5(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _continue(url: str, part: Path, timeout: float, progress) -> None:
    """Append to PART what URL still has."""
    held = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={held}-"} if held else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if held and error.code == 416:  # nothing is left to send
            return
        raise
    with answer:
        if answer.status != 206:  # the server sends the whole file, whatever was asked
            held = 0
        total = held + int(answer.headers.get("Content-Length") or 0)
        free = shutil.disk_usage(part.parent).free
        if total - held > free:
            raise FileError(f"{part.parent}: {free >> 20} MiB free, {total - held >> 20} needed; make room, call again")
        with open(part, "ab" if held else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                held += len(chunk)
                if progress is not None:
                    progress(part.name.removesuffix(".part"), held, total)
        if held < total:
            raise ConnectionError(f"the connection ended after {held:,} of {total:,} bytes")


def unpack(archive, folder: str, target, progress=None) -> Path:
    """Unpack FOLDER of a tar archive to TARGET, which is then either whole or not there.

    Folders and files are made by name; links, devices and names that leave the archive are refused. Raises FileError.
    """
    archive, target = Path(archive), Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    room = target.with_name(f".{target.name}.{os.getpid()}.unpacking")
    try:
        with open(archive, "rb") as file, tarfile.open(fileobj=file) as tar:
            size = archive.stat().st_size
            for member in tar:
                _extract(tar, member, room, archive)
                if progress is not None:
                    progress(f"unpacking {archive.name}", file.tell(), size)
        if not (room / folder).is_dir():
            raise FileError(f"{archive}: holds no {folder}; remove it and fetch again")
        os.replace(room / folder, target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise FileError(f"{archive}: cannot be unpacked ({error}); remove it and fetch again") from error
    except OSError as error:
        raise FileError(f"{archive}: cannot be unpacked into {target.parent} ({error.strerror}); allow that and call "
                        "again") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return target


def _extract(tar, member, room, archive) -> None:
    """Make a folder or a file of a tar archive below ROOM, where no links are: tarfile's own filter has let some out of
    it (CVE-2025-4517)."""
    path = inside(room, member.name)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.isreg():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            shutil.copyfileobj(tar.extractfile(member), file)
    else:
        raise FileError(f"{archive}: {member.name!r} is a link or a device, which no data set has; fetch it again")
