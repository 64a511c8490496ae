"""Limits of what a kernel may print, and the errors of one that ends early.

The runner counts the messages that arrive; neither its memory nor the notebook grows without end. The kernel counts
what it prints as well: messages wait in the runner's memory until they are read, and a flood must not wait there.
"""

import sys

TEXT = 5_000_000  # characters of printed text of one cell
ERROR = 10_000  # characters of an exception's text
DISPLAY = 50_000_000  # characters of everything else of it: pictures, tables


class KernelDied(RuntimeError):
    """The notebook's process ended by itself; the message says by which signal or exit code."""


class Unfinished(RuntimeError):
    """The notebook stopped before its last cell without an error."""


class Room:
    """The characters that are left of TEXT; WHAT, "a cell may print", begins the note at the cut."""

    def __init__(self, what):
        self._left, self._what = TEXT, what

    def keep(self, text: str) -> str:
        """TEXT as far as it fits, once with a note where it is cut; "" if nothing is kept."""
        if self._left <= 0:
            return ""
        self._left -= len(text)
        return text if self._left > 0 else text[: self._left + len(text)] + f"\n{cut_note(self._what)}"


def cut_note(what="a cell may print") -> str:
    """The note where an output is cut."""
    return f"[output cut here: {what} {TEXT // 10**6} MB]"


class OutputLimit:
    """Counts the output of one cell."""

    def __init__(self):
        self._room = {"text": TEXT, "display": DISPLAY}

    def keep(self, message: dict) -> dict | None:
        """The kernel's MESSAGE as far as it fits, once with a note where the output is cut; None if nothing is kept.

        An error is always kept: its kernel has cut it.
        """
        if message["msg_type"] == "error":
            return message
        if message["msg_type"] == "stream":
            text, kind = message["content"]["text"], "text"
            size, note = len(text), f"\n{cut_note()}\n"
        else:
            text, kind = "", "display"
            size = sum(len(str(part)) for part in message["content"].get("data", {}).values())
            note = f"[an output of {size / 1e6:.0f} MB is not kept: a cell may hold {DISPLAY // 10**6} MB]"
        room = self._room[kind]
        if room is None:
            return None
        if size <= room:
            self._room[kind] = room - size
            return message
        self._room[kind] = None
        content = {"name": "stdout", "text": text[:room] + note}
        header = {**message["header"], "msg_type": "stream"}
        return {**message, "msg_type": "stream", "header": header, "content": content}


def cap_streams(namespace: dict) -> None:
    """In a kernel: stop a cell's printing where it begins, from the next cell on and anew in each, and cut the text of
    its error.

    NAMESPACE is the notebook's globals(); outside IPython nothing happens.
    """
    if "get_ipython" not in namespace:
        return
    shell = namespace["get_ipython"]()
    if _cap_both not in shell.events.callbacks["pre_run_cell"]:
        shell.events.register("pre_run_cell", _cap_both)
        shell.events.register("post_run_cell", _cap_error)
        show = shell._showtraceback
        shell._showtraceback = lambda kind, error, lines: show(kind, _shortened(error), [*map(_ends_of, lines)])


def _cap_error(result):
    if result.error_in_exec is not None:  # the kernel's answer to the runner holds its text
        result.error_in_exec = _shortened(result.error_in_exec)


def _shortened(error):
    """ERROR itself, or one of the same name with a shorter text."""
    text = str(error)
    return error if len(text) <= ERROR else type(type(error).__name__, (Exception,), {})(_ends_of(text))


def _ends_of(text):
    """The beginning and the end of a long text."""
    if len(text) <= ERROR:
        return text
    return f"{text[: ERROR // 2]}\n[{len(text) - ERROR} characters are left out]\n{text[-ERROR // 2 :]}"


def _cap_both(*_):
    for stream in (sys.stdout, sys.stderr):
        write = stream.write  # IPython puts its own in place for each cell, and takes it away with ours afterwards
        stream.write = _capped(getattr(write, "uncapped", write))


def _capped(write):
    room = TEXT + 1  # one character too many, for the runner to see and to note in the notebook

    def capped(text):
        nonlocal room
        if room > 0:
            write(text[:room])
            room -= len(text)
        return len(text)

    capped.uncapped = write
    return capped
