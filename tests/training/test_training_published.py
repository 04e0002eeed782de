"""Training that starts from the file the authors of DiffusionAct published."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reenact.data.dataset import ClipDataset, PairConfig, draw_batch
from reenact.errors import UserError
from reenact.models.released import PUBLISHED_CONFIG, export_released, load_released
from reenact.training.run_config import TrainRun
from reenact.training.stage_align import AlignStage
from reenact.training.stage_reenact import ReenactStage
from tests.released_rules import SMALL_DIFFAE, fill_state, make_weights

CPU = torch.device("cpu")


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A published file of a small architecture."""
    weights = make_weights(SMALL_DIFFAE)
    for module in (weights.diffae, weights.encoder, weights.unet):
        for parameter in module.parameters():
            if not parameter.any():  # zero convolutions would hide the code from the picture
                torch.nn.init.normal_(parameter, std=0.05)
    export_released(weights, tmp_path / "diffusionact_model.pt")
    return tmp_path / "diffusionact_model.pt"


def tuning(run: TrainRun, **changes: object) -> TrainRun:
    return dataclasses.replace(
        run, reenact=dataclasses.replace(run.reenact, tune_unet=True, **changes)
    )


def one_step(stage: ReenactStage | AlignStage, run: TrainRun) -> float:
    """Size of the step that plain gradient descent takes."""
    batch = draw_batch(
        ClipDataset(run.data.root, "train"),
        pairs=PairConfig(cross_fraction=0.0),
        config=run.data.augment,
        batch_size=run.batch_size,
        seed=0,
        step=0,
    )
    loss, _ = stage.loss(stage.model, batch)
    loss.mean().backward()
    gradients = [p.grad for p in stage.model.parameters() if p.grad is not None]
    torch.optim.SGD(stage.model.parameters(), lr=1e-3).step()
    return float(torch.stack([g.square().sum() for g in gradients]).sum().sqrt())


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_reenact_continues_where_the_authors_stopped(make_run: Callable[..., TrainRun], start):
    run = tuning(make_run("reenact", init=str(start)))
    stage, published = ReenactStage(run, CPU), load_released(start)
    assert equal(stage.diffae, published.diffae)
    assert equal(stage.model.encoder, published.encoder)
    assert equal(stage.model.unet, published.unet)
    assert one_step(stage, run) > 0
    assert equal(stage.diffae, published.diffae)
    assert not equal(stage.model.encoder, published.encoder)
    assert not equal(stage.model.unet, published.unet)


def test_the_tuned_renderer_must_be_trained_on(make_run: Callable[..., TrainRun], start):
    with pytest.raises(UserError, match="tune_unet must be true"):
        ReenactStage(make_run("reenact", init=str(start)), CPU)


def test_align_goes_on_with_the_authors_encoder(make_run: Callable[..., TrainRun], start):
    run = make_run("align", init=str(start))
    stage, published = AlignStage(run, CPU), load_released(start)
    assert equal(stage.diffae, published.diffae)
    assert equal(stage.model, published.encoder)
    assert one_step(stage, run) > 0
    assert equal(stage.diffae, published.diffae)
    assert not equal(stage.model, published.encoder)
    with pytest.raises(UserError, match=r"no motion head, set align\.motion_head to false"):
        AlignStage(make_run("align", init=str(start), align={"motion_head": True}), CPU)


@pytest.mark.slow
def test_one_step_at_full_size(make_run: Callable[..., TrainRun], tmp_path: Path):
    """256 px, all 300 M parameters by the rule of the golden numbers, one picture."""
    with torch.device("meta"):
        weights = make_weights(PUBLISHED_CONFIG)
    for name in ("diffae", "encoder", "unet"):
        module = getattr(weights, name)
        module.load_state_dict(fill_state(module, f"{name}:"), assign=True)
    path = tmp_path / "diffusionact_model.pt"
    # schedule buffers of a meta module hold nothing, and the file does not hold them
    export_released(weights, path)
    del weights
    run = make_run("reenact", size=256, init=str(path), batch_size=1)
    run = tuning(run, x_T="random", render="one_step", encode_steps=2)
    stage = ReenactStage(run, CPU)
    path.unlink()
    before = stage.model.encoder.zero_conv.weight.clone()
    size = one_step(stage, run)
    assert 0 < size < float("inf")
    assert not torch.equal(stage.model.encoder.zero_conv.weight, before)
