"""Limits of what a kernel may print, and the errors of one that ends early.

The runner counts the messages that arrive; neither its memory nor the notebook grows without end. The kernel counts
what it prints as well: messages wait in the runner's memory until they are read, and a flood must not wait there.
"""

import sys

TEXT = 5_000_000  # characters of printed text of one cell
DISPLAY = 50_000_000  # characters of everything else of it: pictures, tables


class KernelDied(RuntimeError):
    """The notebook's process ended by itself; the message says by which signal or exit code."""


class Unfinished(RuntimeError):
    """The notebook stopped before its last cell without an error."""


class OutputLimit:
    """Counts the output of one cell."""

    def __init__(self):
        self._room = {"text": TEXT, "display": DISPLAY}

    def keep(self, message: dict) -> dict | None:
        """The kernel's MESSAGE as far as it fits, once with a note where the output is cut; None if nothing is kept.

        An error is always kept.
        """
        if message["msg_type"] == "error":
            return message
        if message["msg_type"] == "stream":
            text, kind = message["content"]["text"], "text"
            size, note = len(text), f"\n[output cut here: a cell may print {TEXT // 10**6} MB]\n"
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
    """In a kernel: stop a cell's printing where it begins, from the next cell on and anew in each.

    NAMESPACE is the notebook's globals(); outside IPython nothing happens.
    """
    if "get_ipython" not in namespace:
        return
    events = namespace["get_ipython"]().events
    if _cap_both not in events.callbacks["pre_run_cell"]:
        events.register("pre_run_cell", _cap_both)


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
