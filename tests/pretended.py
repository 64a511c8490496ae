"""A second device that is not there: tensors that lie in main memory, but keep CUDA's rules about which may meet.

`with Pretended(): network.to(NAME)(x.to(NAME))` works; `network.to(NAME)(x)` raises RuntimeError, as on a GPU.
"""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = "meta"  # a kind of device that every build of torch has and that needs no driver
# operators that CUDA has for floating-point numbers only
FLOATS = {"mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "convolution", "avg_pool2d", "max_pool2d_with_indices",
          "upsample_bilinear2d", "upsample_bicubic2d", "grid_sampler_2d", "reflection_pad2d", "replication_pad2d"}
# operators that CUDA refuses where only repeatable kernels are allowed
UNREPEATABLE = {"nll_loss2d_forward", "_adaptive_avg_pool2d_backward", "cumsum", "histc", "median"}
# operators beside the pointwise ones that take a number from main memory
NUMBERS = {"where", "index_put", "index_put_", "_index_put_impl_", "masked_fill", "masked_fill_", "fill_"}
INDEXED = {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_"}


class There(torch.Tensor):
    """A tensor that says it is on the device; `held` has its values."""

    @staticmethod
    def __new__(cls, held):
        size, steps, start = held.shape, held.stride(), held.storage_offset()
        made = torch.Tensor._make_wrapper_subclass(cls, size, steps, start, dtype=held.dtype, device=NAME)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})

    def numpy(self, **_):
        raise TypeError(f"can't convert {NAME} device type tensor to numpy; use Tensor.cpu() first")

    def __array__(self, *_, **__):  # np.asarray and its like
        return self.numpy()

    def tolist(self):
        return self.cpu().tolist()

    def __reduce_ex__(self, protocol):  # files hold plain tensors
        return self.held.detach().__reduce_ex__(protocol)


class _Made(TorchFunctionMode):
    """Values become tensors in main memory first: torch itself forgets them on their way to "meta"."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.Tensor.new_tensor:
            kwargs = {"dtype": args[0].dtype, "device": args[0].device, **kwargs}
            function, args = torch.tensor, args[1:]
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            places = tuple(torch.as_tensor(k) if isinstance(k, list | np.ndarray) else k for k in places)
            args = args[0], places, *args[2:]
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            return function(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        return function(*args, **kwargs)


class Pretended(TorchDispatchMode):
    """While it lasts, tensors can be made on NAME and sent there; `calls` counts the operators that ran there."""

    calls = 0

    def __enter__(self):
        self.made = _Made().__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.made.__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = run(function, args, kwargs or {})
        self.calls += any(isinstance(leaf, There) for leaf in tree_leaves(found))
        return found


def run(function, args, kwargs):
    """FUNCTION on the tensors as they are held. Raises RuntimeError where CUDA would."""
    name, wish = function.overloadpacket.__name__, kwargs.get("device")
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in given if isinstance(tensor, There)]
    if there:
        _check(function, name, args, there, [tensor for tensor in given if not isinstance(tensor, There)])
    wraps = bool(there) if wish is None else torch.device(wish).type == NAME
    if wraps and kwargs.get("generator") is not None:
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu'")
    if wraps and wish is not None:
        kwargs = {**kwargs, "device": "cpu"}
    held_args, held_kwargs = tree_map_only(There, lambda tensor: tensor.held, (args, kwargs))
    found = function(*held_args, **held_kwargs)
    if torch.Tag.inplace_view in function.tags and there and found.shape != there[0].shape:
        raise NotImplementedError(f"{function} on {NAME}: the size of a tensor there cannot change")
    found = found.clone() if name == "_to_copy" and found is held_args[0] else found
    known = {id(tensor.held if isinstance(tensor, There) else tensor): tensor for tensor in given}
    return tree_map_only(torch.Tensor, lambda tensor: known[id(tensor)] if id(tensor) in known
                         else There(tensor) if wraps else tensor, found)


def _check(function, name, args, there, here):
    if name in FLOATS and not there[0].is_floating_point():
        raise RuntimeError(f'"{name}" not implemented for {there[0].dtype} on {NAME}')
    strict = torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    if name in UNREPEATABLE and there[0].is_floating_point() and strict:
        raise RuntimeError(f"{name} does not have a deterministic implementation on {NAME}")
    if name in INDEXED and isinstance(args[0], There):  # indices may come from main memory
        here = [tensor for tensor in here if not any(tensor is index for index in args[1])]
    here = [] if name in ("copy_", "_to_copy") else here
    numbers = torch.Tag.pointwise in function.tags or name in NUMBERS
    changed = function._schema.is_mutable and any(tensor is args[0] for tensor in here)
    if changed or any(tensor.ndim or not numbers for tensor in here):
        sizes = ", ".join(f"{tuple(tensor.shape)} on {tensor.device}" for tensor in here + there)
        raise RuntimeError(f"Expected all tensors to be on the same device, but {function} got {sizes}")
