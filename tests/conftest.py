import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.simulated_mps import simulated_mps

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


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests and the commands they start neither read nor fill the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", os.path.dirname(torch.hub.get_dir()))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _usual_signals() -> Iterator[None]:
    """Ctrl-C and hang-ups arrive, also where `nohup` or a shell's `&` has switched them off."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    replaced = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in replaced.items():
        signal.signal(number, handler)


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A CUDA device on machines without one: tensors have shapes, dtypes and devices, but no data.

    An operation on tensors of two devices fails, and so does one that needs a tensor's value.
    Backward passes need a real GPU. Build a network with `with fake_cuda: Network()`, or move it.
    """
    monkeypatch.setattr(nn.Module, "_apply", _replace_tensors)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield torch.device("cuda")


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Apple's device on machines without one, with data and backward passes; see simulated_mps."""
    monkeypatch.setattr(nn.Module, "_apply", _replace_tensors)
    with simulated_mps() as device:
        yield device


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
