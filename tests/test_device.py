import pytest
import torch

from reenact.device import autocast, compute_dtype, pick_device
from reenact.errors import UserError


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


def test_an_unknown_device_is_named():
    with pytest.raises(UserError, match="device 'toaster': not usable"):
        pick_device("toaster")


def test_the_only_cpu_has_one_name():
    assert pick_device("cpu:0") == torch.device("cpu")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["meta", "mkldnn", "", "cpu:x"])
def test_devices_that_cannot_compute_are_one_line(name: str):
    with pytest.raises(UserError, match="not usable on this machine"):
        pick_device(name)


def test_precision_names():
    assert compute_dtype("fp32", torch.device("cpu")) is torch.float32
    assert compute_dtype("bf16", torch.device("cpu")) is torch.bfloat16
    assert compute_dtype("auto", torch.device("mps")) is torch.float32


def test_autocast_changes_the_format_of_products():
    a = torch.randn(4, 4)
    device = torch.device("cpu")
    with autocast(torch.bfloat16, device):
        assert (a @ a).dtype is torch.bfloat16
    with autocast(torch.float32, device):
        assert (a @ a).dtype is torch.float32
