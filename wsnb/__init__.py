"""wsnb: weakly-supervised segmentation, an experiment book over one thin library.

Five floors, each importing only those below it: files; data, metrics and viz; models and ops; papers; run and report.
"""

import importlib
import importlib.abc
import importlib.util
import sys

__version__ = "0.1.0"


def __getattr__(name):
    """`wsnb.load`, of the top floor: see wsnb.run.predict.load."""
    if name == "load":
        return importlib.import_module("wsnb.run.predict").load
    raise AttributeError(f"module 'wsnb' has no attribute {name!r}")


class _TorchvisionFinder(importlib.abc.MetaPathFinder):
    """Lets torchvision's Python part load beside a CPU-only torch, at no cost until somebody imports it.

    Its compiled library wants CUDA; without it two operator schemas that are looked up at import time are missing.
    They are defined only after the real import failed: defining them where the library loads aborts the process.
    Import torchvision inside the function that needs it: loading it takes as long as loading torch, in each kernel.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            really = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _load_torchvision(module, really)
        return spec


def _load_torchvision(module, really):
    try:
        return really(module)
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.startswith("torchvision.")]:
        del sys.modules[name]
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    module._wsnb_schemas = library  # the schemas live as long as this object
    really(module)


if "torchvision" not in sys.modules:
    sys.meta_path.insert(0, _TorchvisionFinder())
