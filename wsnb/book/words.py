"""Equal words: what the papers' tables and our results call the same method, supervision or backbone.

Only true synonyms are made alike. A CRF, tags given at test, a preset or another head stay different.
"""

import re

from wsnb.book import protocol

EXTRA = ("boxes at test",)  # conditions that are no field of a Protocol
SUPERVISIONS = {"weak (boxes + image tags)": "boxes and image labels"}
METHODS = {  # the retrieval and the joint head of SPML have no number in the paper's tables
    ("spml", "SPML, softmax classifier"): "SPML",
    ("simple_does_it", "masks"): "DeepLab full",
}
BACKBONES = {
    ("spml", "ResNet101 DeepLab"): "ResNet101",
    ("panoptic", "ResNet101 (DIN)"): "ResNet101",
    ("simple_does_it", "DeepLabv2-ResNet101"): "ResNet101 DeepLab v2",
}
HEADS = ("DeepLab-LargeFOV", "DeepLab v2", "DeepLabV3+")  # Simple Does It names them with the method, the paper with
GUESSES = ("Rectangle", "Ellipse", "MCG", "GrabCut", "GrabCut+")  # the backbone; these are masks without training
UNTRAINED = "none (training-free)"
PANOPTIC = "weakly-supervised panoptic"
DETECTOR = "of a detector"


def ours(row) -> dict:
    """The fields that the protocol of a Row states, in common words, and EXTRA ones."""
    found = protocol.stated(row.protocol)
    found |= {"simple_does_it": _simple, "panoptic": _panoptic}.get(row.paper, dict)(found)
    return _common(row.paper, found)


def theirs(number) -> dict:
    """The same of a Reported number."""
    found = dict(number.protocol)
    if number.paper == "panoptic" and found.get("method", "").startswith(PANOPTIC):
        found["boxes at test"] = DETECTOR
    return _common(number.paper, found)


def recursion(method: str) -> int:
    """The round that the name of a method states, 'Box, round 3' -> 3; else 0."""
    found = re.search(r"\bround (\d+)", method)
    return int(found[1]) if found else 0


def _common(paper, found):
    """FOUND with the words of the tables above."""
    made = dict(found)
    for name, table in (("method", METHODS), ("backbone", BACKBONES)):
        if name in made:
            made[name] = table.get((paper, made[name]), made[name])
    if "supervision" in made:
        made["supervision"] = SUPERVISIONS.get(made["supervision"], made["supervision"])
    return made


def _simple(found):
    """'Simple Does It: M∩G+, DeepLab-LargeFOV' of VGG16 is the paper's 'M∩G+' of 'VGG16 DeepLab-LargeFOV'."""
    method = found.get("method", "").removeprefix("Simple Does It: ")
    made = {"method": method} if method else {}
    name, _, head = method.rpartition(", ")
    if head in HEADS:
        made = {"method": name, "backbone": f"{found.get('backbone', '')} {head}".strip()}
    if made.get("method") == "Box^i":  # the paper's is trained recursively, as its Box
        made["method"] = "Box^i, not recursive"
    elif re.fullmatch(r"Box(\^i)?, round \d+", made.get("method", "")):
        made["method"] = made["method"].partition(", ")[0]
    if method in GUESSES and found.get("supervision") == "none":  # drawn from the boxes
        made |= {"supervision": "boxes", "backbone": UNTRAINED}
    return made


def _panoptic(found):
    """The initial weights belong to the paper's name of the method; the boxes of things at test do not."""
    method, _, boxes = found.get("method", "").partition(", boxes: ")
    made = {}
    if boxes in ("components", "files"):  # true boxes stay another method
        made["boxes at test"] = DETECTOR if boxes == "files" else boxes
    elif boxes:
        method = found["method"]
    if method == PANOPTIC and "imagenet" in found.get("weights", "").casefold():
        method = f"{PANOPTIC}, ImageNet init"
    return {**made, "method": method} if method else made
