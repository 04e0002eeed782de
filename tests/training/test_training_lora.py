"""LoRA: small updates on frozen networks, and the small files that hold them."""

import copy
import dataclasses
import shutil

import pytest
import torch
from safetensors.torch import load_file

from diffae import CheckpointError, DiffAE, load_checkpoint, save_checkpoint
from reenact.errors import UserError
from reenact.models.adapter import adapter_path
from reenact.models.checkpoint import load_reenactor, save_reenactor
from reenact.models.lora import LoraConfig, add_lora, merged_state
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.training.loop import train
from reenact.training.session import open_session
from reenact.training.stage_align import AlignStage
from reenact.training.stage_reenact import ReenactStage

CPU = torch.device("cpu")
LORA = LoraConfig(rank=2, alpha=3.0)


def fresh(z_channels=32):
    """A layer of each kind that gets an update, with something between them that gets none."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.GroupNorm(2, 8),
        torch.nn.Flatten(2),
        torch.nn.Conv1d(8, 8, 1),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 36, z_channels),
    )


def test_the_update_is_the_published_formula_and_starts_at_zero():
    plain, images = fresh(), torch.randn(2, 3, 8, 8)
    network = copy.deepcopy(plain)
    add_lora(network, LORA, seed=0)
    assert torch.equal(network(images), plain(images))
    for index in (0, 3, 5):
        update = network[index].parametrizations.weight[0]
        torch.nn.init.normal_(update.up)
        change = network[index].weight - plain[index].weight
        wanted = LORA.alpha / LORA.rank * (update.up @ update.down)
        torch.testing.assert_close(change.flatten(1), wanted, atol=1e-6, rtol=1e-5)
        assert torch.linalg.matrix_rank(change.flatten(1).double(), atol=1e-4) == LORA.rank
    output = network(images)
    plain.load_state_dict(merged_state(network))
    assert torch.equal(plain(images), output)


def test_only_the_updates_have_gradients():
    network = fresh()
    add_lora(network, LORA, seed=0)
    network(torch.randn(2, 3, 8, 8)).square().sum().backward()
    for name, weight in network.named_parameters():
        is_update = name.endswith((".down", ".up"))
        assert weight.requires_grad == is_update
        assert (weight.grad is not None) == is_update
    other = fresh()
    add_lora(other, LORA, seed=0)
    downs = [n[0].parametrizations.weight[0].down for n in (network, other)]
    assert torch.equal(*downs), "the seed decides the start, so that all processes have the same"


def with_lora(run, **changes):
    return dataclasses.replace(run, lora=LORA, **changes)


def tuned(run):
    return dataclasses.replace(run, reenact=dataclasses.replace(run.reenact, tune_unet=True))


def runs(make_run):
    return {
        "align": with_lora(make_run("align")),
        "align, new motion head": with_lora(make_run("align", align={"motion_head": True})),
        "reenact": with_lora(make_run("reenact")),
        "reenact, tuned U-Net": with_lora(tuned(make_run("reenact"))),
    }


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize(
    "name", ["align", "align, new motion head", "reenact", "reenact, tuned U-Net"]
)
def test_a_run_exports_whole_weights_and_an_adapter_that_gives_the_same(make_run, name):
    run = runs(make_run)[name]
    train(run, CPU)
    whole = load_reenactor(run.export)
    adapter = adapter_path(run.export)
    shutil.copy(run.init, adapter.parent)
    from_adapter = load_reenactor(adapter)
    assert same(whole.encoder.state_dict(), from_adapter.encoder.state_dict())
    assert (whole.unet is None) == (from_adapter.unet is None) == ("U-Net" not in name)
    if whole.unet is not None:
        assert same(whole.unet.state_dict(), from_adapter.unet.state_dict())
    assert whole.recipe == from_adapter.recipe
    base = load_checkpoint(run.init)
    trained = whole.encoder.encoder.state_dict()
    moved = {n for n, t in base.encoder.state_dict().items() if not torch.equal(t, trained[n])}
    # The zero convolutions of an untrained U-Net hide the code from the picture.
    assert bool(moved) != (name == "reenact")
    assert all(n.endswith(".weight") for n in moved), "biases and norms are frozen"
    assert same(base.state_dict(), from_adapter.diffae.state_dict())
    names = load_file(adapter)
    assert ("encoder.motion_head.0.weight" in names) == ("motion" in name)


def test_the_first_pictures_are_those_of_the_base_to_the_bit(make_run):
    runs_of = {"align": make_run("align"), "reenact": tuned(make_run("reenact"))}
    stages = {"align": AlignStage, "reenact": ReenactStage}
    for name, run in runs_of.items():
        plain, small = stages[name](run, CPU), stages[name](with_lora(run), CPU)
        inputs = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
        networks = [s.model if name == "align" else s.model.encoder for s in (plain, small)]
        codes = [network(*inputs) for network in networks]
        assert torch.equal(*codes)
        if name == "reenact":
            arguments = inputs[0], torch.tensor([3, 900]), codes[0]
            unets = [stage.model.unet.eval() for stage in (plain, small)]
            assert torch.equal(unets[0](*arguments), unets[1](*arguments))


def test_a_continued_run_equals_an_unbroken_one(make_run, tmp_path):
    run = with_lora(make_run("align"))
    train(run, CPU)
    other = tmp_path / "other"
    slices = dataclasses.replace(run, run_dir=other, export=other / "weights.safetensors")
    train(dataclasses.replace(slices, num_steps=2), CPU)
    train(slices, CPU)
    assert slices.export.read_bytes() == run.export.read_bytes()
    paths = adapter_path(slices.export), adapter_path(run.export)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(UserError, match="belongs to another run, its lora is"):
        train(dataclasses.replace(slices, lora=LoraConfig(rank=2, alpha=4.0)), CPU)


def test_the_optimizer_holds_the_updates_alone(make_run):
    session = open_session(with_lora(make_run("align")), CPU)
    held = sum(w.numel() for group in session.optimizer.param_groups for w in group["params"])
    whole = sum(w.numel() for w in load_checkpoint(session.run.init).encoder.parameters())
    assert held < 0.5 * whole


@pytest.fixture
def adapter(make_run):
    """An adapter and, beside it, its base."""
    run = with_lora(make_run("align", num_steps=2))
    train(run, CPU)
    shutil.copy(run.init, run.export.parent)
    return adapter_path(run.export), run.export.with_name(run.init.name)


def test_an_adapter_and_its_base_come_together_on_a_device(adapter, mps):
    path, _ = adapter
    on_cpu, on_mps = load_reenactor(path), load_reenactor(path, mps)
    for name in ("diffae", "encoder"):
        tensors = getattr(on_mps, name).state_dict()
        assert {tensor.device.type for tensor in tensors.values()} == {"mps"}
        moved = {n: tensor.cpu() for n, tensor in tensors.items()}
        assert same(getattr(on_cpu, name).state_dict(), moved)


def test_an_adapter_refuses_other_weights_of_the_same_name(adapter):
    path, base = adapter
    save_checkpoint(DiffAE(load_checkpoint(base).config), base)
    with pytest.raises(CheckpointError, match="trained on other weights than this diffae16"):
        load_reenactor(path)
    base.unlink()
    with pytest.raises(CheckpointError, match=r"diffae16.safetensors; put that file beside it"):
        load_reenactor(path)


def test_a_damaged_adapter_is_refused(adapter, tmp_path):
    path, _ = adapter
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(CheckpointError, match=r"no|not a"):
        load_reenactor(path)
    for old, new in (
        (b'"base', b'"bose'),
        (b"diffae16", b"../fae16"),
        (b"zero_conv", b"zero_cone"),
    ):
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(CheckpointError, match=r"damaged|expected a file name"):
            load_reenactor(path)


def test_an_adapter_starts_a_whole_training_but_is_no_base_of_an_adapter(adapter, make_run):
    path, base = adapter
    run = make_run("align", init=str(path))
    stage, start = AlignStage(run, CPU), load_reenactor(path)
    assert same(stage.model.state_dict(), start.encoder.state_dict())
    with pytest.raises(UserError, match=r"init: .* is an adapter, and an adapter of an adapter"):
        AlignStage(with_lora(run), CPU)
    shutil.copy(path, base)  # now it names an adapter, and that one names itself
    with pytest.raises(CheckpointError, match="is an adapter, not whole weights"):
        load_reenactor(path)


def test_the_autoencoder_has_no_lora(make_run):
    with pytest.raises(UserError, match="lora: stage autoencoder trains all weights"):
        with_lora(make_run())


def test_a_whole_file_has_the_same_base_sum_however_it_is_stored(make_run, tmp_path):
    """The sum is over the weights, so a base may be split into two files."""
    diffae = load_checkpoint(make_run("align").init)
    encoder = ReenactmentEncoder(copy.deepcopy(diffae.encoder))
    first, second = tmp_path / "a" / "base.safetensors", tmp_path / "b" / "base.safetensors"
    for path in (first, second):
        path.parent.mkdir()
    save_reenactor(first, diffae, encoder)
    save_reenactor(second, diffae, encoder, diffae_file="part.safetensors")
    stages = [AlignStage(with_lora(make_run("align", init=str(p))), CPU) for p in (first, second)]
    assert stages[0].base.sha256 == stages[1].base.sha256
