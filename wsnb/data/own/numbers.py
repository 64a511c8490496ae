"""One rule for numbers in files of annotations: finite, of a sane size, and pixels."""


def number(written) -> float | None:
    """Read a finite number of a sane size, also from text; None for anything else, and for Python's 1_000."""
    try:
        value = None if isinstance(written, bool) or "_" in str(written) else float(written)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if value is not None and abs(value) < 1e9 else None


def are_shares(values) -> bool:
    """Tell whether VALUES are shares of the picture instead of pixels: some fractions, and nothing outside 0 to 1."""
    return all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)


def is_set(written) -> bool:
    """Tell whether a mark like iscrowd or <difficult> is set: 1, true, or either as text."""
    return str(written).strip().lower() in ("1", "true")
