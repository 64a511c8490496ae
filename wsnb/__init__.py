"""wsnb: weakly-supervised segmentation, an experiment book over one thin library.

Four floors, each importing only those below it: data, methods, papers, book.
"""

__version__ = "0.1.0"


def _make_torchvision_importable() -> None:
    """Let torchvision's Python part load beside a CPU-only torch.

    Wheels of torchvision from the package index bring a compiled library that wants CUDA. Without it the two
    operator schemas that are looked up at import time are missing; models, transforms and data sets do not need them.
    They are defined only after the real import failed, because defining them where the library loads aborts the process.
    """
    import sys

    import torch

    try:
        import torchvision  # noqa: F401
        return
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _make_torchvision_importable.library = library  # the schemas live as long as this object
    import torchvision  # noqa: F401, F811
