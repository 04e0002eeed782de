"""Where a run computes, and in which number format."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from reenact.errors import UserError

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def pick_device(name: str) -> torch.device:
    """A device by name; "auto" takes a GPU if there is one, NVIDIA's or Apple's.

    Apple's counts because whole runs and training steps were checked on a simulated one, which
    refuses what the real one lacks (tests/simulated_mps.py).

    There is one CPU device: "cpu:0" is "cpu". Raises UserError if the device does not work here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of names that it will forget
            device = torch.device(name)
        float(torch.ones(1, device=device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device {name!r}: not usable on this machine, try cpu") from error
    return torch.device("cpu") if device.type == "cpu" else device


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """bfloat16, float16 or float32; "auto" takes bfloat16 where the hardware multiplies it.

    "fp16" is what the published script uses on CUDA; elsewhere it runs, as there, in float32.
    """
    if precision == "fp16":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision != "auto":
        return torch.bfloat16 if precision == "bf16" else torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        # Private in torch, hence the fallback: without the answer float32 is always right.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = any(getattr(torch.cpu, name, lambda: False)() for name in names)
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to `dtype`, or nothing for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def exact(values: torch.Tensor) -> torch.Tensor:
    """The values in float64: on the CPU if they are on an Apple GPU, which has no float64."""
    return (values.cpu() if values.device.type == "mps" else values).double()
