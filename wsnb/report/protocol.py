"""Protocol: under which conditions a number was measured, so that two numbers are compared only where they may be."""

import dataclasses
import hashlib
import numbers
import re

IMAGE_LABELS = ("predicted", "ground truth", "none")
PRESETS = ("faithful", "fixed")
LABEL_SOURCES = ("", "weak", "semi", "full")
LISTS = ("scales", "iou_thresholds")


class ProtocolError(ValueError):
    """A protocol with an unknown, missing or wrong-typed field; the message names it and the remedy."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The conditions of one measured number. Empty text, None and an empty list mean "not stated", except where said.

    dataset         name as in the papers' tables: "VOC2012", "Cityscapes", "DensePose", "shapes"
    dataset_size    pictures that were measured, not those trained on
    split           "train", "val", "test", ...
    split_hash      split_hash() of the measured ids
    image_labels    where image tags came from at test: "predicted", "ground truth" or "none" (not used)
    scales, flip    test-time variants
    crf             parameters of the CRF as text; empty means that there was none, which is a statement
    resolution      at which size masks are predicted and compared
    threshold       thresholds of the prediction, and threshold_split the pictures that they were chosen on
    aggregation     "data set": one confusion matrix over all pictures; "image mean" otherwise
    ignore_label    label of pixels that are not scored
    weights         origin of the initial weights
    supervision     what training saw: "image labels", "boxes", "scribbles", "points", "full", ...
    label_source    "weak", "semi" (some pictures with full masks) or "full"
    full_share      share of the training pictures that had full masks, 0 to 1
    train_size      pictures trained on
    annotation      what was paid for before training and is not counted in train_size, as text
    matching        how segments are matched for PQ and AP: "IoU > 0.5", "authors' evaluator", "COCO"
    iou_thresholds  IoUs at which AP counts a match
    method, backbone    as in the papers' tables: "single-stage", "WideResNet38"
    preset          "faithful" to the original program's quirks, or "fixed"

    Raises ProtocolError for values of another type.
    """

    dataset: str
    dataset_size: int
    split: str
    split_hash: str = ""
    image_labels: str = "none"
    scales: tuple = ()
    flip: bool | None = None
    crf: str = ""
    resolution: str = ""
    threshold: str = ""
    threshold_split: str = ""
    aggregation: str = "data set"
    ignore_label: int = 255
    weights: str = ""
    supervision: str = ""
    method: str = ""
    backbone: str = ""
    preset: str = "faithful"
    label_source: str = ""
    full_share: float | None = None
    train_size: int | None = None
    annotation: str = ""
    matching: str = ""
    iou_thresholds: tuple = ()

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        choices = {"image_labels": IMAGE_LABELS, "preset": PRESETS, "label_source": LABEL_SOURCES}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ProtocolError(
                    f"protocol: {name} is {getattr(self, name)!r}; use one of {', '.join(filter(None, allowed))}"
                )
        if self.full_share is not None and not 0 <= self.full_share <= 1:
            raise ProtocolError(f"protocol: full_share is {self.full_share}; it is a share between 0 and 1")

    def as_dict(self) -> dict:
        """All fields as JSON holds them (tuples as lists)."""
        return {name: list(value) if name in LISTS else value for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict) -> "Protocol":
        """The reverse of as_dict. Raises ProtocolError for unknown or missing fields."""
        if not isinstance(values, dict):
            raise ProtocolError(f"protocol: {values!r} is not a mapping of its fields")
        names = {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(cls)}
        wrong = sorted(set(values) - set(names))
        lacking = sorted(name for name, needed in names.items() if needed and name not in values)
        if wrong or lacking:
            found = [f"unknown field {name}" for name in wrong] + [f"{name} is missing" for name in lacking]
            raise ProtocolError(f"protocol: {', '.join(found)}; its fields are {', '.join(names)}")
        return cls(**values)


FIELDS = tuple(field.name for field in dataclasses.fields(Protocol))


def _checked(field, value):
    kind = getattr(field.type, "__name__", str(field.type))
    if field.name in LISTS:
        kind = "a list of numbers"
        good = isinstance(value, list | tuple) and all(map(_is_number, value))
        value = tuple(map(float, value)) if good else value
    elif value is None and field.default is None:
        good = True
    elif "bool" in kind:
        good = isinstance(value, bool)
    elif "int" in kind:
        good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        value = int(value) if good else value
    elif "float" in kind:
        good = _is_number(value)
        value = float(value) if good else value
    else:
        good = isinstance(value, str)
    if not good:
        raise ProtocolError(f"protocol: {field.name} is {value!r}, but it is {kind}")
    return value


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def split_hash(ids) -> str:
    """SHA-256 of a list of picture ids, whatever their order: the same pictures give the same hash."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(map(str, ids))).encode()).hexdigest()


def differences(a, b) -> list:
    """Names of the fields in which two protocols differ. Each is a Protocol, or a mapping of some of its fields.

    A field counts only where both sides state it. Spelling (case, spaces, "_", "-") and known other names of data sets
    and backbones do not count; "yes" as a CRF means any CRF.
    """
    a, b = stated(a), stated(b)
    return [name for name in FIELDS if name in a and name in b and not same(name, a[name], b[name])]


def stated(protocol) -> dict:
    """The fields that a Protocol, or a mapping of some of its fields, states."""
    values = protocol.as_dict() if isinstance(protocol, Protocol) else dict(protocol)
    return {
        name: value
        for name, value in values.items()
        if value is not None and (name == "crf" or value not in ("", [], ()))
    }


ALIASES = {
    "voc12": "voc2012",
    "pascalvoc2012": "voc2012",
    "voc": "voc2012",
    "resnet38": "wideresnet38",
    "wrn38": "wideresnet38",
    "wr38": "wideresnet38",
}


def same(field: str, a, b) -> bool:
    """Whether two stated values of a field mean the same."""
    if field == "crf" and "yes" in (a, b):
        return bool(a) and bool(b)
    if isinstance(a, str) and isinstance(b, str):
        return plain(a) == plain(b)
    return (list(a) == list(b)) if field in LISTS else a == b


def plain(text: str) -> str:
    """TEXT without case, spaces, "_" and "-", data sets and backbones by their first name."""
    short = re.sub(r"[\s_\-]+", "", text.casefold())
    return ALIASES.get(short, short)
