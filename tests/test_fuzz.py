"""Damaged files of every kind end in an error in words or a correct reading; `python -m benchmarks.fuzz` takes more."""

import os
from pathlib import Path

from benchmarks import fuzz
from benchmarks.fuzz_readers import Reader


def test_500_damaged_files(capsys):
    found = fuzz.main(500, 7)
    said = capsys.readouterr().out
    print(said)
    assert found == 0 and said.count("\n") == 1 and ", 0 faults" in said


def test_the_harness_sees_faults(tmp_path):
    def dies(path):
        if b"c" not in path.read_bytes():
            os._exit(3)

    readers = {"raises": lambda path: path.read_text("ascii"), "dies": dies, "unsealed": lambda path: path.read_bytes(),
               "runs": lambda path: Path("fuzzed").mkdir(exist_ok=True)}
    kinds = {name: Reader(b"abcdef", ".txt", read, checked=True) for name, read in readers.items()}
    seen, begin = set(), 0
    while begin < 200:
        for number, name, kind, _ in fuzz._from_child(kinds, tmp_path, range(begin, 200), 0):
            seen.add((name, kind))
            begin = number + 1
    assert {("raises", "fault: UnicodeDecodeError"), ("dies", "fault: ends the interpreter"), ("dies", "same"),
            ("unsealed", "fault: changed"), ("unsealed", "other"), ("runs", "fault: executed")} <= seen
