"""Loss, gradients and first optimizer steps equal those of the official code (without dropout)."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.testing import assert_close

from diffae import DiffAE, load_checkpoint
from diffae.checkpoint import module_name
from reenact.training.optimizer import update_ema


@pytest.fixture(scope="module")
def io(shared: Path) -> dict[str, Tensor]:
    return load_file(shared / "golden/diffae/tiny/io.safetensors")


@pytest.fixture
def ae(shared: Path) -> DiffAE:
    return load_checkpoint(shared / "golden/diffae/tiny/last.ckpt.pt", weights="model")


def test_loss_and_gradients_equal_the_official_ones(ae: DiffAE, io: dict[str, Tensor]):
    x_t = ae.schedule.q_sample(io["x"], io["train_t"], io["train_noise"])
    assert torch.equal(x_t, io["train_x_t"])
    assert_close(ae.encode_semantic(io["x"]), io["z_sem_model"], atol=2e-6, rtol=0)
    loss = ae.training_loss(io["x"], io["train_t"], io["train_noise"])
    assert_close(loss, io["train_loss_per_sample"], rtol=1e-5, atol=0)
    loss.mean().backward()
    gradients = {name: p.grad for name, p in ae.named_parameters()}
    total = torch.stack([g.norm() for g in gradients.values() if g is not None]).norm()
    assert_close(total[None], io["train_grad_norm_total"], rtol=1e-4, atol=0)
    names = [key.removeprefix("grad/") for key in io if key.startswith("grad/")]
    assert len(names) == 6
    for name in names:
        expected, found = io[f"grad/{name}"], gradients[module_name(name)]
        assert found is not None
        assert (found - expected).norm() <= 1e-4 * expected.norm(), name


def test_three_adam_steps_and_the_average_equal_the_official_ones(
    ae: DiffAE, shared: Path, io: dict[str, Tensor]
):
    average = load_checkpoint(shared / "golden/diffae/tiny/last.ckpt.pt", weights="ema")
    average.requires_grad_(False)
    optimizer = torch.optim.Adam(ae.parameters(), lr=1e-4)
    losses = []
    for i in range(3):
        t = torch.tensor([3 + 100 * i, 777 - 100 * i])
        loss = ae.training_loss(io["x"], t, io["train_noise"]).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ae.parameters(), 1.0)
        optimizer.step()
        # A late step: the decay has reached its constant value, which the released models used
        # from the start.
        update_ema(average, ae, 0.9999, step=10**6)
        losses.append(loss.detach())
    assert_close(torch.stack(losses), io["train3_losses"], rtol=1e-5, atol=0)
    for kind, model in (("train3_model", ae), ("train3_ema", average)):
        state = model.state_dict()
        names = [key.removeprefix(f"{kind}/") for key in io if key.startswith(f"{kind}/")]
        assert len(names) == 3
        for name in names:
            assert_close(state[module_name(name)], io[f"{kind}/{name}"], atol=1e-6, rtol=0)


def test_the_average_moves_by_one_minus_decay():
    average, online = nn.Linear(2, 2), nn.Linear(2, 2)
    before = average.weight.detach().clone()
    update_ema(average, online, 0.9, step=10**6)
    assert_close(average.weight, 0.9 * before + 0.1 * online.weight)
