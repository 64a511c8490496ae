"""How much of a cell's output is kept, so that neither the runner's memory nor the notebook grows without
bound.
"""

import re
import sys

STAMP = re.compile(r"\d\d:\d\d:\d\d ")  # how a line of Stage.log begins
TEXT = 5_000_000  # characters of printed text of one cell
ALL = 50_000_000  # characters of everything, pictures included


class Capped:
    """Counts one cell's output and cuts what goes beyond, once saying so."""

    def __init__(self, text: int = TEXT, everything: int = ALL):
        self._text, self._all = text, everything
        self._cut = set()

    def take(self, message: dict) -> dict | None:
        """MESSAGE of the kernel, shortened if it no longer fits, or None if nothing of it is kept."""
        if message["msg_type"] == "error":
            return message  # the reason of a failure is always kept
        if message["msg_type"] == "stream":
            return self._take_text(message)
        size = sum(len(str(part)) for part in message["content"].get("data", {}).values())
        if size > self._all:
            return self._once(
                message,
                "all",
                f"[an output of {size / 1e6:.0f} MB is not kept: a cell may hold {ALL // 10**6} MB]",
            )
        self._all -= size
        return message

    def _take_text(self, message):
        text = message["content"]["text"]
        room, self._text = self._text, self._text - len(text)
        if len(text) <= room:
            return message
        kept = text[: max(room, 0)]
        note = f"{kept}\n[output cut here: a cell may print {TEXT // 10**6} MB]\n"
        return self._once(message, "text", note)

    def _once(self, message, kind, note):
        if kind in self._cut:
            return None
        self._cut.add(kind)
        content = {"name": "stdout", "text": note}
        return {
            **message,
            "msg_type": "stream",
            "header": {**message["header"], "msg_type": "stream"},
            "content": content,
        }


def text_of(message: dict) -> str:
    """Text of a stream message."""
    return message["content"]["text"]


def cap_streams(namespace: dict) -> None:
    """In a kernel: stop a cell's printing at its source, so that a flood never crosses to the runner.

    Lines of Stage.log pass. Counts from the next cell on, and anew in each. NAMESPACE is the notebook's
    globals(); outside IPython, and where it was called before, nothing happens.
    """
    if "get_ipython" not in namespace:
        return
    events = namespace["get_ipython"]().events
    if _cap_both not in events.callbacks["pre_run_cell"]:
        events.register("pre_run_cell", _cap_both)


def _cap_both(*_):
    for stream in (sys.stdout, sys.stderr):
        write = (
            stream.write
        )  # IPython puts its own in place for each cell, and takes it away with ours afterwards
        stream.write = _capped(getattr(write, "uncapped", write))


def _capped(write):
    room = TEXT

    def capped(text):
        nonlocal room
        before, room = room, room - len(text)
        if room >= 0 or STAMP.match(text):
            write(text)
        elif before >= 0:  # one character too many: the runner counts too, and says so in the notebook
            write(text[: before + 1])
        return len(text)

    capped.uncapped = write
    return capped
