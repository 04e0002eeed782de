from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
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
def fake_cuda() -> Iterator[torch.device]:
    """A CUDA device on machines without one: tensors have shapes, dtypes and devices, but no data.

    An operation on tensors of two devices fails, and so does one that needs a tensor's value.
    Backward passes need a real GPU. Build a network with `with fake_cuda: Network()`.
    """
    with FakeTensorMode():
        yield torch.device("cuda")
