"""The number format of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16"]


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether `precision` means bfloat16 on `device`: `auto` takes it where the hardware multiplies it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        flags = torch.backends.cpu.get_cpu_capability()
        return flags.startswith("AVX512") and _cpu_multiplies_bf16()
    return False


def _cpu_multiplies_bf16() -> bool:
    """avx512_bf16 or amx, as torch reports it (private names, so absent ones mean no)."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def autocast(bf16: bool, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16, or nothing."""
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()


def pick_device(name: str | None) -> torch.device:
    """`cuda`, `mps`, `cpu` by name, or the best of this machine for None."""
    if name is not None:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
