"""Damage files of every kind in seeded ways and read them: an error in words, or a correct reading.

`python -m benchmarks.fuzz [cases] [seed]`, 10,000 and 0 by default. A case fails if it hangs or ends the interpreter,
raises anything but FileError or ParamsError, does not name its file, runs something of it, changes what a checksum
vouches for without a word, or takes more than 2 GB.
"""

import os
import pickle
import re
import resource
import select
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from benchmarks.fuzz_readers import Bomb, readers
from wsnb.files import FileError
from wsnb.run.params import ParamsError

UNREAD = ("LabelMe JSON",)  # refused as it is
PATIENCE, MEMORY = 60, 2 << 30  # seconds of wall clock, bytes beyond those at the start of a case
TOKENS = [b"", b"NaN", b"Infinity", b"-1", b"1e299", b"1e999", b"99999999999999999999", b"null", b"true", b"{}", b"[]",
          b"\"x\"", b"[" * 500, b"0x1F", b"010", b"1:2:3", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\r", b"\xe9",
          b"../../etc/passwd", b"/etc/passwd", b"a" * 200_000, b"&lol;", b"<!DOCTYPE a [<!ENTITY lol 'x'>]>",
          b"<?xml version='1.0' encoding='none'?>", b"!!python/object/apply:os.mkdir [fuzzed]", b"*a", b"&a", b"\n\n",
          b"background", b"cat", "\u202e\u0301".encode(), b"<script>", b"-0", b"1_000", b"255", b"65536", b"1e8"]


def mutated(rng, data: bytes, others) -> tuple[bytes, bool]:
    """Damage DATA in one way; whether checksums were made to fit again afterwards."""
    spot, width = int(rng.integers(0, len(data) + 1)), int(rng.integers(1, 33))
    token = TOKENS[rng.integers(len(TOKENS))]
    kind = int(rng.integers(12))
    if kind <= 2:
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 1 + 3 * (kind == 2)):
            changed[place] = changed[place] ^ (1 << rng.integers(8)) if kind else int(rng.integers(256))
        return bytes(changed), False
    if kind == 3:
        return data[:spot], False
    if kind == 4:
        return data[:spot] + rng.bytes(width) + data[spot:], False
    if kind == 5:
        return data[:spot] + data[spot + width:], False
    if kind == 6:
        return data[:spot] + data[max(0, spot - width):], False
    if kind == 7:
        return data[:spot] + token + data[spot + width * int(rng.integers(2)):], False
    if kind in (8, 9):  # a number, a word
        found = list(re.finditer(rb"-?\d+(\.\d+)?" if kind == 8 else rb"[A-Za-z_]{3,}", data))
        if found:
            one = found[rng.integers(len(found))]
            return data[:one.start()] + token + data[one.end():], False
    if kind == 10 and rng.random() < 0.2:
        return others[rng.integers(len(others))], True  # a whole file of another kind, sound by itself
    return sealed(rng, data), True


def sealed(rng, data: bytes) -> bytes:
    """Change a byte inside a PNG's chunk or a zip's member and make the checksums fit; elsewhere only change it."""
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = [(one, archive.read(one)) for one in archive.infolist()]
        chosen, buffer = int(rng.integers(len(members))), BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for k, (one, content) in enumerate(members):
                archive.writestr(one, _one_byte(rng, content) if k == chosen else content)
        return buffer.getvalue()
    if data[:4] == b"\x89PNG":
        chunks, place = [], 8
        while place < len(data):
            length = int.from_bytes(data[place:place + 4], "big")
            chunks.append((data[place + 4:place + 8], data[place + 8:place + 8 + length]))
            place += 12 + length
        k = int(rng.integers(len(chunks)))
        chunks[k] = chunks[k][0], _one_byte(rng, chunks[k][1])
        packed = (struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
                  for name, body in chunks)
        return data[:8] + b"".join(packed)
    return _one_byte(rng, data)


def _one_byte(rng, content: bytes) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[rng.integers(len(changed))] = int(rng.integers(256))
    return bytes(changed)


def bombs() -> list[bytes]:
    """Files that run something when they are read carelessly."""
    array = np.empty(1, object)
    array[0], old, new, many = Bomb(), BytesIO(), BytesIO(), BytesIO()
    torch.save([Bomb()], old, _use_new_zipfile_serialization=False)
    torch.save({"w": Bomb()}, new)
    np.save(many, array, allow_pickle=True)
    return [pickle.dumps(Bomb()), old.getvalue(), new.getvalue(), many.getvalue(),
            b"!!python/object/apply:os.mkdir [fuzzed]", b"lr: !!python/object/apply:os.mkdir [fuzzed]",
            b"%!PS\n(x) run\n", b""]


def same(one, other) -> bool:
    """Whether two contents are equal, in arrays bit for bit."""
    return pickle.dumps(_plain(one)) == pickle.dumps(_plain(other))


def _plain(value):
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes() if value.dtype.kind != "O" else repr(value.tolist())
    if isinstance(value, dict):
        return {repr(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _plain(vars(value)) if hasattr(value, "__dict__") else repr(value)


def outcome(reader, path, sound, resealed) -> tuple[str, str]:
    """Read a damaged file: ("error", "same", "other" or a fault, details)."""
    try:
        found = reader.read(path)
    except (FileError, ParamsError) as error:
        text = str(error)
        return ("error", "") if path.stem in text and len(text) < 5000 else ("fault: names no file", text[:300])
    except Exception as error:  # whatever a reader lets through is the finding
        return f"fault: {type(error).__name__}", f"{str(error)[:200]!r}"
    if same(found, sound):
        return "same", ""
    return ("fault: changed", "") if reader.checked and not resealed else ("other", "")


def _cases(kinds, place, numbers, seed, pipe) -> None:
    """In a child: run the cases NUMBERS and write a line for each into PIPE."""
    os.chdir(place)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and libpng complain there
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    names, more = list(kinds), [*bombs(), *(one.data for one in kinds.values())]
    sounds = {}
    for number in numbers:
        name = names[number % len(names)]
        reader, path = kinds[name], place / f"case{number}{kinds[name].suffix}"
        if name not in sounds:
            path.write_bytes(reader.data)
            sounds[name] = None if name in UNREAD else reader.read(path)
        data, resealed = mutated(np.random.default_rng([seed, number]), reader.data, more)
        path.write_bytes(data)
        kind, details = outcome(reader, path, sounds[name], resealed)
        if Path("fuzzed").exists():
            Path("fuzzed").rmdir()
            kind = "fault: executed"
        path.unlink(missing_ok=True)
        os.write(pipe, f"{number}\t{name}\t{kind}\t{' '.join(details.split())}\n".encode("utf-8", "replace"))


def run(cases: int, seed: int = 0, say=print) -> Counter:
    """Run CASES cases; Counter of outcomes. SAY gets a line for each fault."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kinds, counts, next_ = readers(place), Counter(), 0
        while next_ < cases:
            for number, name, kind, details in _from_child(kinds, place, range(next_, cases), seed):
                counts[kind] += 1
                next_ = number + 1
                if kind.startswith("fault"):
                    say(f"case {number}, {name}: {kind} {details}")
    return counts


def _from_child(kinds, place, numbers, seed):
    """Yield (number, name, outcome, details) of the cases NUMBERS that a child runs, until it ends in whatever way."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            _cases(kinds, place, numbers, seed, writer)
        finally:
            os._exit(0)
    os.close(writer)
    number, ended = numbers.start, ""
    with open(reader, "rb", buffering=0) as pipe:
        rest = b""
        while not ended:
            if not select.select([pipe], [], [], PATIENCE)[0]:
                os.kill(pid, signal.SIGKILL)
                ended = "fault: hangs"
                break
            block = pipe.read(65536)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                found, name, kind, details = line.decode(errors="replace").split("\t", 3)
                yield int(found), name, kind, details
                number = int(found) + 1
            if not block:
                break
    _, status = os.waitpid(pid, 0)
    if number < numbers.stop:
        yield number, list(kinds)[number % len(kinds)], ended or "fault: ends the interpreter", str(status)


def main(cases: int = 10_000, seed: int = 0) -> int:
    began = time.monotonic()
    counts = run(cases, seed)
    faults = sum(count for kind, count in counts.items() if kind.startswith("fault"))
    print(f"{cases} cases, seed {seed}, {time.monotonic() - began:.0f} s: {counts['error']} errors in words, "
          f"{counts['same']} read as before, {counts['other']} read as what they became, {faults} faults")
    for kind, count in counts.most_common():
        if kind.startswith("fault"):
            print(f"  {kind}: {count}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
