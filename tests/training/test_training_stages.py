import dataclasses

import pytest
import torch

from reenact.data.dataset import ClipDataset, PairConfig, draw_batch
from reenact.errors import UserError
from reenact.face.points import five_points_from_landmarks68
from reenact.models.checkpoint import load_reenactor
from reenact.models.perceptual import PerceptualNet
from reenact.training.gradient_guard import GradientGuard
from reenact.training.loop import train
from reenact.training.loss_terms import (
    COMPOSED,
    LOSSES,
    LossInputs,
    LossNets,
    LossNetworks,
    compute_losses,
    soft_mask,
)
from reenact.training.stage_align import AlignStage
from reenact.training.stage_reenact import ReenactStage

CPU = torch.device("cpu")

PLAIN_LOSSES = sorted(LOSSES.keys() - set(COMPOSED))
"""Those that need no photos."""


def batch_of(run, cross_fraction=0.5, batch_size=4, step=0, cross_frames=True):
    return draw_batch(
        ClipDataset(run.data.root, "train"),
        pairs=PairConfig(cross_fraction=cross_fraction, cross_frames=cross_frames),
        config=run.data.augment,
        batch_size=batch_size,
        seed=0,
        step=step,
    )


def copies(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def with_reenact(run, **changes):
    return dataclasses.replace(run, reenact=dataclasses.replace(run.reenact, **changes))


def step_once(stage, batch):
    optimizer = torch.optim.Adam(stage.model.parameters(), lr=1e-2)
    loss, tallies = stage.loss(stage.model, batch)
    loss.mean().backward()
    optimizer.step()
    return tallies


def test_align_starts_at_the_frozen_encoder_and_learns_the_target_code(make_run):
    stage = AlignStage(make_run("align"), CPU)
    batch = batch_of(make_run("align"))
    batch["source"], batch["reference"] = torch.randn(2, 4, 3, 16, 16).clamp(-1, 1)
    drawing = stage.draw.target(batch)
    z_source = stage.diffae.encode_semantic(batch["source"])
    assert torch.equal(stage.model(batch["source"], drawing), z_source)
    before = copies(stage.diffae)
    optimizer = torch.optim.Adam(stage.model.parameters(), lr=5e-4)
    history = []
    for _ in range(100):
        loss, tallies = stage.loss(stage.model, batch)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        history.append(loss.mean().item())
    assert history[-1] < 0.4 * history[0]
    assert tallies.keys() == {"loss", "align_self", "align_cross"}
    after = stage.diffae.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_align_normalised_weighs_every_channel_by_its_spread(make_run):
    run = make_run("align", align={"normalise": True})
    stage, plain = AlignStage(run, CPU), AlignStage(make_run("align"), CPU)
    assert plain.channel_scale is None
    assert (stage.channel_scale > 0).all()
    assert torch.equal(stage.channel_scale, AlignStage(run, CPU).channel_scale)
    batch = batch_of(run)
    error = stage.diffae.encode_semantic(batch["source"]) - stage.diffae.encode_semantic(
        batch["reference"]
    )
    loss, _ = stage.loss(stage.model, batch)
    torch.testing.assert_close(loss, (error.abs() * stage.channel_scale).mean(1))
    loss, _ = plain.loss(plain.model, batch)
    torch.testing.assert_close(loss, error.abs().mean(1))


def test_align_exports_the_frozen_diffae_with_the_averaged_encoder(make_run):
    run = make_run("align", num_steps=2)
    train(run, CPU)
    weights = load_reenactor(run.export)
    stage = AlignStage(run, CPU)
    first, second = weights.diffae.state_dict(), stage.diffae.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert weights.unet is None
    assert weights.metadata["stage"] == "align"


def test_the_drawing_shows_the_sources_identity(make_run):
    """The target's face shape must not leak into the map."""
    run = make_run("align")
    stage = AlignStage(run, CPU)
    batch = batch_of(run, cross_fraction=1.0)
    drawing = stage.draw.target(batch)
    batch["target_identity"] = torch.randn_like(batch["target_identity"])
    assert torch.equal(stage.draw.target(batch), drawing)
    batch["source_identity"] = batch["source_identity"] + torch.randn_like(batch["source_identity"])
    assert not torch.equal(stage.draw.target(batch), drawing)


@pytest.mark.parametrize("render", ["one_step", "sampler"])
@pytest.mark.parametrize("tune_unet", [False, True])
@pytest.mark.parametrize("x_T", ["source", "mixed", "random", "moved"])
def test_reenact_trains_what_it_should_and_nothing_else(make_run, render, tune_unet, x_T):
    run = with_reenact(
        make_run("reenact"), render=render, render_steps=2, tune_unet=tune_unet, x_T=x_T
    )
    stage = ReenactStage(run, CPU)
    # a fresh U-Net's zero convolutions hide the code from the picture
    for unet in (stage.diffae.unet, stage.model.unet):
        for parameter in () if unet is None else unet.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    frozen, trained = copies(stage.diffae), copies(stage.model)
    parts = step_once(stage, batch_of(run))
    assert parts.keys() == {"loss", "pixel", "background"}
    after = stage.diffae.state_dict()
    assert all(torch.equal(frozen[name], after[name]) for name in frozen)
    moved = {n for n, t in stage.model.state_dict().items() if not torch.equal(t, trained[n])}
    assert "encoder.zero_conv.weight" in moved
    assert any(name.startswith("unet.") for name in moved) == tune_unet


def test_tuned_renderer_starts_as_the_frozen_one_and_is_exported(make_run):
    run = with_reenact(make_run("reenact", num_steps=2), tune_unet=True)
    stage = ReenactStage(run, CPU)
    start, frozen = stage.model.unet.state_dict(), stage.diffae.unet.state_dict()
    assert all(torch.equal(start[name], frozen[name]) for name in frozen)
    train(run, CPU)
    weights = load_reenactor(run.export)
    assert weights.unet is not None
    # a second reenact run starts from the first one's export
    again = ReenactStage(dataclasses.replace(run, init=run.export), CPU)
    own, saved = again.model.unet.state_dict(), weights.unet.state_dict()
    assert all(torch.equal(own[name], saved[name]) for name in saved)
    frozen_unet = with_reenact(dataclasses.replace(run, init=run.export), tune_unet=False)
    with pytest.raises(UserError, match="tune_unet must be true"):
        ReenactStage(frozen_unet, CPU)


def test_without_cross_reference_the_rendered_truth_is_never_looked_at(make_run):
    run = with_reenact(make_run("reenact"), cross_reference=False)
    stage = ReenactStage(run, CPU)
    batch = batch_of(run, cross_fraction=1.0)
    loss, parts = stage.loss(stage.model, batch)
    assert parts["pixel"].tolist() == [0, 0]
    batch["reference"] = torch.randn_like(batch["reference"])
    changed, _ = stage.loss(stage.model, batch)
    assert torch.equal(loss, changed)


def losses_of(names, prediction, batch, stage):
    """Unweighted losses of a batch in which every sample has a reference."""
    inputs = LossInputs(
        prediction=prediction,
        batch=batch,
        draw=stage.draw,
        has_reference=torch.ones(len(prediction), dtype=torch.bool),
        nets=LossNetworks(names, LossNets(), CPU),
        guard=GradientGuard(),
    )
    return compute_losses(names, inputs)


@pytest.mark.parametrize("name", PLAIN_LOSSES)
def test_a_loss_is_computed_alone_and_loads_only_its_own_network(make_run, name):
    networks = dict(LossNetworks([name], LossNets(), CPU).named_children())
    assert list(networks) == ([LOSSES[name].needs] if LOSSES[name].needs else [])
    run = make_run("reenact", size=32)
    batch = batch_of(run, cross_fraction=0.0, batch_size=1)
    prediction = batch["source"].clone().requires_grad_()
    values = losses_of([name], prediction, batch, ReenactStage(run, CPU))
    assert values.keys() == {name}
    assert values[name].filled.shape == (1,)


def test_perceptual_and_style_share_the_features(make_run, monkeypatch):
    calls = []
    features = PerceptualNet.features
    monkeypatch.setattr(
        PerceptualNet, "features", lambda self, x: calls.append(x) or features(self, x)
    )
    run = make_run("reenact", size=32)
    batch = batch_of(run, cross_fraction=0.0, batch_size=1)
    losses_of(["perceptual", "style"], batch["source"], batch, ReenactStage(run, CPU))
    assert len(calls) == 2  # of the prediction and of the reference


def test_every_loss_vanishes_for_the_reference_itself(make_run):
    run = make_run("reenact", size=32)
    stage = ReenactStage(run, CPU)
    batch = batch_of(run, cross_fraction=0.0, batch_size=1)
    # the source is its own target here
    for name in [n for n in batch if n.startswith("target_")]:
        batch[name] = batch[name.replace("target_", "source_")]
    batch["source"] = batch["reference"]
    values = losses_of(PLAIN_LOSSES, batch["reference"].clone(), batch, stage)
    assert sorted(values) == PLAIN_LOSSES
    for name, value in values.items():
        assert value.filled.abs().item() < 1e-4, name


def test_five_points_are_eye_centres_nose_and_mouth_corners():
    landmarks = torch.arange(68.0)[None, :, None].expand(1, 68, 2)
    assert five_points_from_landmarks68(landmarks)[0, :, 0].tolist() == [38.5, 44.5, 30, 48, 54]


def test_soft_mask_covers_the_mask_and_fades_outside():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 24:40, 24:40] = 1
    soft = soft_mask(mask)
    assert (soft[mask == 1] == 1).all()
    assert soft[0, 0, 0, 0] == 0
    assert ((soft > 0) & (soft < 1)).any()
