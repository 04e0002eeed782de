"""Apple's GPU, simulated on the CPU: tensors hold data, and say that they are on the device "mps".

What fails on the real device fails here, too: an operation on tensors of two devices, float64, and
operations for which PyTorch has no MPS kernel (its list of operations says so). Everything else
computes on the CPU, backward passes included, so results can be compared.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torchgen
import yaml
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

MPS = torch.device("mps", 0)
MISSING_DTYPES = (torch.float64, torch.complex128)
OPERATIONS = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
aten = torch.ops.aten
TAKES_TWO_DEVICES = (aten.copy_, aten._to_copy)
TAKES_CPU_INDICES = (aten.index, aten.index_put, aten.index_put_)


class MpsTensor(Tensor):
    """A tensor that says it is on "mps"; `data_on_cpu` is its data.

    For C++ it is on the device "meta", so that copies from and to the CPU come to the mode.
    """

    data_on_cpu: Tensor

    @staticmethod
    def __new__(cls, data: Tensor) -> "MpsTensor":
        tensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            data.size(),
            strides=data.stride(),
            storage_offset=data.storage_offset(),
            dtype=data.dtype,
            layout=data.layout,
            device="meta",
            requires_grad=data.requires_grad,
        )
        tensor.data_on_cpu = data.detach()
        return tensor

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return MPS

    def tolist(self) -> Any:
        return self.data_on_cpu.tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"MpsTensor({self.data_on_cpu})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return run_on_mps(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Lets factories make tensors on the device "mps"."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return run_on_mps(func, args, kwargs or {})


class _Index(TorchFunctionMode):
    """Gives the device "mps" its number. Without it PyTorch would ask the missing driver."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        def numbered(device: torch.device) -> torch.device:
            return MPS if device.type == "mps" else device

        args, kwargs = tree_map_only(torch.device, numbered, (args, kwargs or {}))
        if func in (Tensor.to, torch.asarray):  # a device may be a text there
            args, kwargs = tree_map_only(
                str, lambda name: numbered(torch.device(name)), (args, kwargs)
            )
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], MpsTensor):
            args = (args[0], _index_of_tensors(args[1]), *args[2:])
        if func is Tensor.new_tensor and isinstance(args[0], MpsTensor):
            like, *args = args
            func, kwargs = torch.tensor, {"dtype": like.dtype, "device": MPS, **kwargs}
        makes = func is torch.tensor or (
            func is torch.as_tensor and not isinstance(args[0], Tensor)
        )
        if makes and kwargs.get("device") == MPS:
            return func(*args, **{**kwargs, "device": "cpu"}).to(MPS)
        return func(*args, **kwargs)


def _index_of_tensors(index: Any) -> Any:
    """An index with tensors instead of lists. C++ would make these on "meta", without any data."""
    if isinstance(index, tuple):
        return tuple(torch.tensor(i) if isinstance(i, list | tuple) else i for i in index)
    return torch.tensor(index) if isinstance(index, list) else index


@contextmanager
def simulated_mps() -> Iterator[torch.device]:
    """The device "mps" works inside. `nn.Module._apply` has to be replaced, see conftest."""
    # These tensors cannot be made in inference mode. Without gradients the results are equal.
    no_grad = {name: getattr(torch.no_grad, name) for name in ("__enter__", "__exit__")}
    with patch.multiple(torch.inference_mode, **no_grad), _Index(), _Factories():
        yield torch.device("mps")


def run_on_mps(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One operation: on the simulated device if a tensor or the argument `device` says so."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, MpsTensor)]
    wanted = kwargs.get("device")
    to_mps = bool(ours) if wanted is None else torch.device(wanted).type in ("mps", "meta")
    if not ours and not to_mps:
        return func(*args, **kwargs)
    _check_devices(func, tensors, ours)
    if ours and to_mps and not has_mps_kernel(func):
        raise NotImplementedError(f"{func}: not on mps")
    args, kwargs = tree_map_only(MpsTensor, lambda tensor: tensor.data_on_cpu, (args, kwargs))
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = func(*args, **kwargs)
    if not to_mps:
        return result
    in_place = {id(tensor.data_on_cpu): tensor for tensor in ours}

    def wrapped(tensor: Tensor) -> Tensor:
        if tensor.dtype in MISSING_DTYPES:
            raise TypeError(f"{func}: mps has no {tensor.dtype}")
        return in_place[id(tensor)] if id(tensor) in in_place else MpsTensor(tensor)

    return tree_map_only(Tensor, wrapped, result)


def _check_devices(func: Any, tensors: Sequence[Tensor], ours: Sequence[Tensor]) -> None:
    packet = func.overloadpacket
    on_cpu = [t for t in tensors if not isinstance(t, MpsTensor) and t.ndim > 0]
    if not ours or not on_cpu or packet in TAKES_TWO_DEVICES:
        return
    if packet in TAKES_CPU_INDICES and isinstance(tensors[0], MpsTensor):
        return
    raise RuntimeError(f"{func}: tensors on mps and on the CPU")


def has_mps_kernel(func: Any) -> bool:
    """Whether PyTorch computes this operation on mps: with a kernel, or by other operations."""
    namespace, _, name = func._schema.name.partition("::")
    if namespace != "aten":
        return True
    overload = func._schema.overload_name
    keys = _dispatch_keys().get(f"{name}.{overload}" if overload else name)
    return keys is None or any(key == "MPS" or key.startswith("Composite") for key in keys)


@functools.cache
def _dispatch_keys() -> dict[str, list[str] | None]:
    """The dispatch keys of every operation; None for those that are made of others."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = {e["func"].partition("(")[0]: e for e in yaml.load(OPERATIONS.read_text(), loader)}

    def keys(entry: dict[str, Any]) -> list[str] | None:
        if "structured_delegate" in entry:
            entry = entries[entry["structured_delegate"]]
        listed = entry.get("dispatch")
        return None if listed is None else [k.strip() for key in listed for k in key.split(",")]

    return {name: keys(entry) for name, entry in entries.items()}
