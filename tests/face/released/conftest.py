"""Weights by rule and golden numbers of the released pipeline."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

IN_REPO = Path(__file__).resolve().parents[2] / "golden" / "diffusionact"
SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "golden" / "diffusionact"

Shapes = Mapping[str, tuple[int, ...] | list[int]]


def _noise(key: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers of `shape`, seeded by the name alone."""
    digest = hashlib.sha256(key.encode()).digest()
    seed = int.from_bytes(digest[:8], "little") % 2**63
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(math.prod(shape), generator=generator).reshape(shape)


def _fill(key: str, shape: tuple[int, ...] | list[int]) -> Tensor:
    """The value of parameter `key` (prefix included) under the rule of the golden numbers."""
    shape = tuple(shape)
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    z = _noise(key, shape)
    if key.endswith("running_mean"):
        return 0.1 * z
    if key.endswith("running_var"):
        return 1 + 0.1 * z.abs()
    if len(shape) >= 2:
        return z / math.sqrt(math.prod(shape[1:]))
    return 1 + 0.1 * z if key.endswith("weight") else 0.05 * z


def _fill_state(module_or_shapes: nn.Module | Shapes, prefix: str = "") -> dict[str, Tensor]:
    """A state dict by the rule; keys as they are, seeds from `prefix` + key. Loads nothing."""
    if isinstance(module_or_shapes, nn.Module):
        state = module_or_shapes.state_dict()
        shapes: Shapes = {key: tuple(value.shape) for key, value in state.items()}
    else:
        shapes = module_or_shapes
    return {key: _fill(prefix + key, shape) for key, shape in shapes.items()}


def _golden(name: str) -> Any:
    """`name.safetensors` (a dict of tensors) or `name.json`: cut in the repository, else whole
    in ../shared."""
    for folder in (IN_REPO, SHARED):
        path = folder / (name if name.endswith(".json") else f"{name}.safetensors")
        if path.is_file():
            return json.loads(path.read_text()) if path.suffix == ".json" else load_file(path)
    pytest.skip(f"{name} is only in the folder ../shared beside the repository")


@pytest.fixture(scope="session")
def noise() -> Callable[..., Tensor]:
    """`noise(key, shape)`: normal numbers seeded by the name (for rules other than `fill`)."""
    return _noise


@pytest.fixture(scope="session")
def fill() -> Callable[..., Tensor]:
    """`fill(key, shape)`: the rule for one parameter."""
    return _fill


@pytest.fixture(scope="session")
def fill_state() -> Callable[..., dict[str, Tensor]]:
    """`fill_state(module or {key: shape}, prefix)`: the rule for a whole network."""
    return _fill_state


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """`golden("flame")` or `golden("keys.json")`; skips when the file is nowhere."""
    return _golden
