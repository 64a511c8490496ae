"""How much of a cell's output is kept, so that neither the runner's memory nor the notebook grows without bound."""

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
            return self._once(message, "all", f"[an output of {size / 1e6:.0f} MB is not kept: a cell may hold {ALL // 10**6} MB]")
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
        return {**message, "msg_type": "stream", "header": {**message["header"], "msg_type": "stream"}, "content": content}


def text_of(message: dict) -> str:
    """Text of a stream message."""
    return message["content"]["text"]
