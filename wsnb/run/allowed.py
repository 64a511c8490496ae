"""What a parameter may be, as its comment in the notebook says before the help: `# >= 1; pictures a step`.

Numbers: `>= 1`, `> 0`, `0 to 1` (both belong to it). All values there are: `adam | adamw | sgd`. A list says first how
many it holds: `each > 0` (any number), `some, each > 0` (one at least), `2, each > 0`.
"""

import difflib
import re

_NUMBER = r"-?\d+(?:\.\d+)?"
_FORM = re.compile(rf"(?:(?P<count>some|\d+), )?(?P<each>each )?(?:(?P<sign>>=?) (?P<bound>{_NUMBER})|"
                   rf"(?P<low>{_NUMBER}) to (?P<high>{_NUMBER})|(?P<words>[^;|]+(?: \| [^;|]+)+))(?:; |$)")  # fmt: skip


def split(comment: str) -> tuple[str, str]:
    """Split the comment of a parameter into what it allows ("" if anything) and the help."""
    found = _FORM.match(comment)
    return (found[0].removesuffix("; "), comment[found.end() :]) if found else ("", comment)


def fits(text: str, type_: str) -> bool:
    """Whether TEXT, of `split`, is of the kind that a parameter of TYPE_ can have."""
    found = _FORM.fullmatch(text)
    numeric, listed = "int" in type_ or "float" in type_, type_.startswith("list")
    return bool(found["each"]) == listed and (numeric or bool(found["words"])) and (listed or not found["count"])


def fault(text: str, value) -> str | None:
    """Say what is wrong with VALUE, of the parameter's type, or None if TEXT, of `split`, allows it."""
    found = _FORM.fullmatch(text)
    if found["each"]:
        if found["count"] == "some" and not value:
            return "is empty; give one value at least"
        if (found["count"] or "some") != "some" and len(value) != int(found["count"]):
            return f"has the length {len(value)}; give {found['count']} values"
    if found["each"] and found["words"] and (twice := [one for one in value if value.count(one) > 1]):
        return f"has {twice[0]!r} twice; give it once"
    for one in value if found["each"] else [value]:
        if wrong := _fault_of(found, one):
            return wrong
    return None


def _fault_of(found, one):
    if found["words"]:
        words = [word.strip('"') for word in found["words"].split(" | ")]
        if str(one) in words:
            return None
        close = difflib.get_close_matches(str(one), words, n=1, cutoff=0.65)
        return f"is {one!r}; {f'did you mean {close[0]!r}? ' if close else ''}use one of {', '.join(words)}"
    if found["sign"]:
        bound = float(found["bound"])
        right, wanted = (one >= bound if found["sign"] == ">=" else one > bound), f"{found['sign']} {found['bound']}"
    else:
        right, wanted = float(found["low"]) <= one <= float(found["high"]), f"{found['low']} to {found['high']}"
    return None if right else f"is {one}, but has to be {wanted}"
