from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Golden numbers and samples beside the repository; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared beside the repository")
    return SHARED


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A CUDA device on machines without one: tensors have shapes, dtypes and devices, but no data.

    An operation on tensors of two devices fails, and so does one that needs a tensor's value.
    Backward passes need a real GPU. Build a network with `with fake_cuda: Network()`, or move it.
    """
    monkeypatch.setattr(nn.Module, "_apply", _replace_tensors)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield torch.device("cuda")


def _replace_tensors(module: nn.Module, function: Callable[[Tensor], Tensor]) -> nn.Module:
    """What `Module.to` does. Torch's own way changes tensors in place, which fake ones forbid."""
    for child in module.children():
        _replace_tensors(child, function)
    for name, weight in module._parameters.items():
        if weight is not None:
            module._parameters[name] = nn.Parameter(function(weight), weight.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module
