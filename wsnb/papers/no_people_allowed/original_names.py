"""The original programs' weights under this book's names: IRN's two networks, NoPeopleAllowed's ResNets and IRNet."""

TRAINING_ONLY = ("path_indices", "ind_from", "ind_to", "disp_target")  # index tensors of IRN's loss, in its file
ALIASES = ("stage", "backbone.", "newly_added.", "edge_layers.", "dp_layers.", "fc_dp7.4.")
STAGES = {"stage1.0.": "conv1.", "stage1.1.": "bn1.", "stage2.": "layer1.", "stage3.": "layer2.", "stage4.": "layer3.",
          "stage5.": "layer4."}
NUMBERED = {"backbone.0.": "conv1.", "backbone.1.": "bn1.", "backbone.4.": "layer1.", "backbone.5.": "layer2.",
            "backbone.6.": "layer3.", "backbone.7.": "layer4."}  # modules of torchvision's ResNet in a Sequential


def without_aliases(state) -> dict:
    """Keep one of the two or three names under which IRN's files hold each tensor."""
    return {key: value for key, value in state.items() if not key.startswith(ALIASES)}


def irn_classifier_state(state) -> dict:
    """Rename `res50_cam.pth` -> a GapClassifier on ResNet-50 without extra convolutions and bias."""
    found = {}
    for key, value in without_aliases(state).items():
        found[key.removeprefix("resnet50.") if key != "classifier.weight" else "extra_linear.weight"] = (
            value.flatten(1) if key == "classifier.weight" else value)
    return found


def irn_state(state) -> dict:
    """Rename `res50_irn.pth` -> IRNet on ResNet-50, "stored mean"."""
    return {key.removeprefix("resnet50.") if key.startswith("resnet50.") else f"branches.{key}": value
            for key, value in without_aliases(state).items() if not key.startswith(TRAINING_ONLY)}


def npa_state(state) -> dict:
    """Rename NoPeopleAllowed's IRNet -> IRNet on ResNet-50 with a dilated layer4, "instance norm", "batch"."""
    found = {}
    for key, value in state.items():
        start = next((old for old in STAGES if key.startswith(old)), None)
        found[STAGES[start] + key[len(start):] if start else f"branches.{key}"] = value
    return found


def whole_state(state) -> dict:
    """Rename a ResNet of NoPeopleAllowed's registry -> a GapClassifier: `fc` or `backbone.N` in the originals."""
    found = {}
    for key, value in state.items():
        start = next((old for old in (*NUMBERED, "fc.") if key.startswith(old)), "")
        found[NUMBERED.get(start, "extra_linear." if start else "") + key[len(start):]] = value
    return found
