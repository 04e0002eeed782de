"""Every stage on simulated devices: nothing may stay on the CPU.

On the simulated CUDA device tensors have no data, so only the loss is computed. Three things cannot
run without data and are replaced: reading files happens outside of the simulation, and drawing
lines and cutting patches, whose work depends on values, give zeros.
"""

import importlib
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily

from reenact.training.loop import train_step
from reenact.training.loss_terms import COMPOSED, LOSSES
from reenact.training.session import on_device, open_session
from reenact.training.stages import make_stage

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "training.py"
READERS = (
    "reenact.training.stage_align.load_base",
    "reenact.training.stage_reenact.load_base",
    "reenact.models.perceptual.load_tensors",
    "reenact.face.open.model.load_tensors",
    "reenact.face.pose._canonical_face",
    "reenact.face.identity.load_graphs",
    "reenact.face.open.tracker.load_graphs",
)
PLAIN_LOSSES = sorted(LOSSES.keys() - set(COMPOSED))
SETTINGS = {
    "autoencoder": {},
    "align": {"motion_head": True},
    "reenact": {
        "render": "sampler",
        "render_steps": 2,
        "encode_steps": 2,
        "tune_unet": True,
        "weights": dict.fromkeys(PLAIN_LOSSES, 1.0),
    },
}


def outside(reader: Callable) -> Callable:
    def read(*args: object) -> object:
        with unset_fake_temporarily():
            return reader(*args)

    return read


def no_lines(landmarks: Tensor, pupils: Tensor, size: int) -> Tensor:
    return landmarks.new_zeros(len(landmarks), 3, size, size) + pupils.sum()


def no_patches(images: Tensor, transforms: Tensor, side: int, *_: object) -> Tensor:
    return images.new_zeros(len(transforms), 3, side, side) + images.mean() + transforms.sum()


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    for target in READERS:
        module, _, name = target.rpartition(".")
        monkeypatch.setattr(target, outside(getattr(importlib.import_module(module), name)))
    monkeypatch.setattr("reenact.face.open.model.landmark_map", no_lines)
    for module in ("identity", "open.mesh_net"):
        monkeypatch.setattr(f"reenact.face.{module}.sample_patches", no_patches)


@pytest.mark.parametrize("stage", sorted(SETTINGS))
def test_the_loss_of_a_stage(
    make_run, stage: str, without_data: None, request: pytest.FixtureRequest
):
    run = make_run(stage, size=32, **{stage: SETTINGS[stage]})
    batch = runpy.run_path(str(BENCHMARK))["noise_batch"](2, 32)
    device: torch.device = request.getfixturevalue("fake_cuda")
    module = make_stage(run, device)
    loss, tallies = module.loss(module.model, on_device(batch, device))
    assert (loss.device.type, loss.shape) == ("cuda", (2,))
    assert {value.device.type for value in tallies.values()} == {"cuda"}
    if stage == "reenact":
        assert tallies.keys() == {"loss", *PLAIN_LOSSES}


@pytest.mark.slow
@pytest.mark.parametrize("stage", sorted(SETTINGS))
def test_a_step_on_mps_equals_the_step_on_the_cpu(
    make_run, stage: str, request: pytest.FixtureRequest
):
    run = make_run(stage, size=32, **{stage: SETTINGS[stage]})
    batch = runpy.run_path(str(BENCHMARK))["noise_batch"](2, 32)

    def measured(device: torch.device) -> torch.Tensor:
        torch.manual_seed(0)
        session = open_session(run, device)
        is_finite, tallies = train_step(session, on_device(batch, device), 0)
        assert is_finite
        return torch.cat([tallies[name].cpu() for name in ("loss", "grad_norm")])

    on_cpu = measured(torch.device("cpu"))
    on_mps = measured(request.getfixturevalue("mps"))
    torch.testing.assert_close(on_mps, on_cpu, rtol=1e-3, atol=1e-6)
