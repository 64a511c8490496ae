"""A row of the table of hot spots, as each benchmark returns it: the plain way beside ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured. RATIO says how many times better ours is; REACHED whether it is what REACH asks for."""

    hot_spot: str
    plain: str
    ours: str
    ratio: str
    agreement: str
    reach: str
    reached: bool


def size(count: float) -> str:
    """Bytes in words: '415.0 MiB'."""
    if count < 2**20:
        return "under 1 MiB"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
