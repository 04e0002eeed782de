"""The autoencoder on a simulated CUDA device: no tensor may stay on the CPU."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError

from diffae import SAMPLERS, DiffAE

NUM_IMAGES, SIZE = 2, 16


@pytest.fixture(params=["eps", "v"])
def ae(fake_cuda: torch.device, small_config, request: pytest.FixtureRequest) -> DiffAE:
    with fake_cuda:
        return DiffAE(small_config(prediction=request.param))


@pytest.fixture
def images(fake_cuda: torch.device) -> torch.Tensor:
    return torch.zeros(NUM_IMAGES, 3, SIZE, SIZE, device=fake_cuda)


def test_the_training_loss_stays_on_the_device(ae: DiffAE, images: torch.Tensor):
    t = torch.zeros(NUM_IMAGES, dtype=torch.int64, device=images.device)
    loss = ae.training_loss(images, t, images)
    assert (loss.device.type, loss.shape) == ("cuda", (NUM_IMAGES,))


@pytest.mark.parametrize("options", [{}, {"grad_steps": 1, "recompute": True}])
def test_samplers_stay_on_the_device_both_ways(ae: DiffAE, images: torch.Tensor, options: dict):
    z_sem = ae.encode_semantic(images)
    x_T = ae.encode_stochastic(images, z_sem, 3, **options)
    for name in SAMPLERS:
        x_0 = ae.decode(x_T, z_sem, 3, name, **options)
        assert (x_0.device.type, x_0.shape) == ("cuda", images.shape)


def test_a_tensor_left_on_the_cpu_is_noticed(ae: DiffAE, images: torch.Tensor):
    t = torch.zeros(NUM_IMAGES, dtype=torch.int64)
    with pytest.raises(FakeTensorDeviceMismatchError):
        ae.unet(images, t, ae.encode_semantic(images))
