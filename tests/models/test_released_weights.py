"""The published weights file: keys, export, load, and the numbers of the authors' code."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffae import CheckpointError, DiffAE
from diffae.semantic_encoder import SemanticEncoder
from reenact.errors import UserError
from reenact.models.checkpoint import (
    ReenactorWeights,
    is_reenactor,
    load_reenactor,
    save_reenactor,
)
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.released import (
    DIFFUSION,
    NET,
    PUBLISHED_CONFIG,
    export_released,
    load_released,
    published_content,
)
from tests.released_rules import SHARED, SMALL_DIFFAE, fill_state, golden, make_weights
from tools.export_released import export

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def small() -> ReenactorWeights:
    """Weights in which every tensor is different."""
    weights = make_weights(SMALL_DIFFAE)
    for module in (weights.diffae, weights.encoder, weights.unet):
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
    return weights


@pytest.fixture
def write(tmp_path: Path, small: ReenactorWeights):
    """Function: a published file of the small weights, its content changed by a function."""

    def save(change: Callable[[dict[str, Any]], object] = lambda content: None) -> Path:
        content = published_content(small)
        change(content)
        path = tmp_path / "diffusionact_model.pt"
        torch.save(content, path)
        return path

    return save


def same(a: torch.nn.Module | None, b: torch.nn.Module | None) -> bool:
    assert a is not None
    assert b is not None
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def drop(prefix: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        state = content[DIFFUSION]
        for key in [key for key in state if key.startswith(prefix)]:
            del state[key]

    return change


def test_keys_are_the_published_ones():
    """By the lists of DiffAE's keys in the repository, and the authors' where those are at hand."""
    with torch.device("meta"):
        content = published_content(make_weights(PUBLISHED_CONFIG))
    assert content.keys() == {"best_val_loss", NET, DIFFUSION}
    lines = (TESTS / "golden/diffae/ffhq256_keys.txt").read_text().splitlines()
    keys = {
        key: [int(n) for n in shape.split("x")] for key, shape in (line.split() for line in lines)
    }
    diffusion = {p + key: shape for p in ("model.", "ema_model.") for key, shape in keys.items()}
    net = {
        key.replace("encoder.", "controlnet.", 1): shape
        for key, shape in keys.items()
        if key.startswith("encoder.")
    }
    expected = {
        DIFFUSION: diffusion | {"x_T": [32, 3, 256, 256]},
        NET: net | {"zero_conv_1.weight": [3, 3, 1, 1], "zero_conv_1.bias": [3]},
    }
    found = {
        part: {key: list(tensor.shape) for key, tensor in content[part].items()}
        for part in (NET, DIFFUSION)
    }
    assert {part: len(keys) for part, keys in found.items()} == {NET: 118, DIFFUSION: 1413}
    assert found == expected
    if (SHARED / "keys.json").is_file():
        published = golden("keys.json")
        assert found == {part: published[part] for part in (NET, DIFFUSION)}


def test_export_and_load_are_inverse(tmp_path: Path, small: ReenactorWeights):
    path = tmp_path / "diffusionact_model.pt"
    small.unet.to(memory_format=torch.channels_last)
    export_released(small, path)
    loaded = load_released(path)
    assert loaded.diffae.config == SMALL_DIFFAE
    assert same(loaded.diffae, small.diffae)
    assert same(loaded.encoder, small.encoder)
    assert same(loaded.unet, small.unet)
    assert not any(m.training for m in (loaded.diffae, loaded.encoder, loaded.unet))
    assert loaded.metadata["origin"] == "diffusionact_model.pt"
    again = published_content(loaded)
    assert again.keys() == torch.load(path, weights_only=True).keys()
    assert [p.name for p in tmp_path.iterdir()] == ["diffusionact_model.pt"]


def test_untuned_weights_render_with_the_average(tmp_path: Path, small: ReenactorWeights):
    untuned = dataclasses.replace(small, unet=None)
    export_released(untuned, tmp_path / "a.pt")
    assert same(load_released(tmp_path / "a.pt").unet, small.diffae.unet)


def test_what_inference_does_not_use_may_be_there_or_not(write, small: ReenactorWeights):
    def more(content: dict[str, Any]) -> None:
        content["best_val_loss"] = np.float64(0.25)
        content["global_noise"] = {"noise": torch.zeros(3, 16, 16)}

    def less(content: dict[str, Any]) -> None:
        del content["best_val_loss"], content[DIFFUSION]["x_T"]
        for key in ("model.", "ema_model."):
            assert any(name.startswith(key) for name in content[DIFFUSION])

    assert same(load_released(write(more)).unet, small.unet)
    # without x_T the picture's size follows from where attention sits in the published models
    assert load_released(write(less)).diffae.config.image_size == 32


def test_missing_average_is_taken_from_last_ckpt_with_a_warning(
    write, small: ReenactorWeights, tmp_path: Path
):
    path = write(drop("ema_model."))
    with pytest.raises(CheckpointError, match=r"holds no ema_model\.\*, put DiffAE's last\.ckpt"):
        load_released(path)
    average = DiffAE(SMALL_DIFFAE)
    state = published_content(dataclasses.replace(small, diffae=average))[DIFFUSION]
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    with pytest.warns(UserWarning, match=r"holds no ema_model\.\* weights, using those of"):
        loaded = load_released(path, tmp_path / "last.ckpt")
    assert same(loaded.diffae, average)
    assert same(loaded.unet, small.unet)
    with pytest.warns(UserWarning, match="using those of"):
        assert same(load_reenactor(path).diffae, average)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("model."), r"holds no model\.\*, the fine-tuned weights"),
        (drop("model.out.2.bias"), r"1 missing \(out\.2\.bias\)"),
        (lambda c: c[DIFFUSION].update({"ema_model.new": torch.ones(1)}), r"1 unexpected \(new\)"),
        (lambda c: c[NET].pop("zero_conv_1.bias"), r"state_dict_net: .*1 missing \(zero_conv_1"),
        (lambda c: c[NET].update({"controlnet.a": torch.ones(1)}), r"unexpected \(controlnet\.a\)"),
        (
            lambda c: c[NET].update({"zero_conv_1.bias": torch.ones(4)}),
            r"zero_conv_1\.bias is \[4\], not \[3\]",
        ),
        (lambda c: c.pop(NET), "not a DiffusionAct file"),
        (lambda c: c.pop(DIFFUSION), "not a DiffusionAct file"),
    ],
)
def test_incomplete_files_are_one_line_errors(write, change, message: str):
    path = write(change)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_released(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_published_file_is_a_reenactor(write, small: ReenactorWeights, tmp_path: Path):
    path = write()
    assert is_reenactor(path)
    assert same(load_reenactor(path).encoder, small.encoder)
    torch.save({"state_dict": published_content(small)[DIFFUSION]}, tmp_path / "last.ckpt")
    assert not is_reenactor(tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="not a DiffusionAct file"):
        load_reenactor(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction": "v"}, "has prediction 'eps', these weights 'v'"),
        ({"conditioning": "scale_shift"}, "has conditioning 'scale'"),
        ({"patch_size": 2, "attention_resolutions": (4,)}, "has patch_size 1"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path: Path, changes, message: str):
    weights = make_weights(dataclasses.replace(SMALL_DIFFAE, **changes))
    with pytest.raises(UserError, match=message):
        export_released(weights, tmp_path / "a.pt")
    assert not any(tmp_path.iterdir())


def test_a_motion_head_is_refused(tmp_path: Path, small: ReenactorWeights):
    encoder = ReenactmentEncoder(copy.deepcopy(small.diffae.encoder), has_motion_head=True)
    with pytest.raises(UserError, match="motion head"):
        export_released(dataclasses.replace(small, encoder=encoder), tmp_path / "a.pt")


def test_the_tool_names_what_is_not_the_published_architecture(tmp_path: Path, small):
    source = tmp_path / "a.safetensors"
    save_reenactor(source, small.diffae, small.encoder)
    with pytest.raises(UserError, match="image_size 16 instead of 256, base_channels 16 instead"):
        export(source, tmp_path / "a.pt")


# ------------------------------------------------------------------ numbers of the authors' code


def picture(value: Tensor) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) in [-1, 1]."""
    return value.permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> ReenactorWeights:
    """The full architecture by the rule, through a file (1.5 GB)."""
    with torch.device("meta"):
        content = published_content(make_weights(PUBLISHED_CONFIG))
    path = tmp_path_factory.mktemp("published") / "diffusionact_model.pt"
    net, diffusion = (
        fill_state(content[part], p) for p, part in (("net:", NET), ("diff:", DIFFUSION))
    )
    torch.save({"best_val_loss": 0.1, NET: net, DIFFUSION: diffusion}, path)
    del net, diffusion
    weights = load_released(path)
    path.unlink()
    return weights


@torch.no_grad()
def test_codes_of_e_r_equal_the_published_ones():
    with torch.device("meta"):
        encoder = ReenactmentEncoder(SemanticEncoder(PUBLISHED_CONFIG))
        state = published_content(make_weights(PUBLISHED_CONFIG))[NET]
    tensors = fill_state(state, "net:")
    names = {
        "controlnet.": "encoder.",
        "zero_conv_1.": "zero_conv.",
    }
    own = {names[f"{k.partition('.')[0]}."] + k.partition(".")[2]: t for k, t in tensors.items()}
    encoder.load_state_dict(own, assign=True)
    numbers = golden("e_r")
    source, stickman = picture(numbers["source_u8"]), picture(numbers["stickman_0"])
    assert_close(encoder(source, stickman), numbers["z"], atol=1e-4, rtol=0)
    assert_close(encoder.encoder(source), numbers["z_without_stickman"], atol=1e-4, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_diffusion_equals_the_published_one(published: ReenactorWeights):
    """Which weights invert and which render; U-Nets, DDIM both ways (every 16th pixel)."""
    numbers, inputs = golden("e2e"), golden("e_r")
    diffae, encoder, unet = published.diffae, published.encoder, published.unet
    source = picture(inputs["source_u8"])
    z_encode = encoder(source, picture(inputs["stickman_0"]))
    z_render = encoder(source, picture(inputs["stickman_1"]))
    assert_close(z_encode, numbers["z_encode"], atol=1e-4, rtol=0)
    assert_close(z_render, numbers["z_render"], atol=1e-4, rtol=0)
    assert_close(diffae.encode_semantic(source), inputs["z_ema_encoder"], atol=1e-4, rtol=0)
    z_encode, z_render = numbers["z_encode"], numbers["z_render"]

    def check(value: Tensor, name: str, tolerance: float) -> None:
        assert_close(value[:, :, ::16, ::16], numbers[name].float(), atol=tolerance, rtol=0)

    t = torch.tensor([500])
    # eps reaches 4.6; the average's is stored in half precision
    check(unet(source, t, z_encode), "unet_model_t500", 4e-4)
    check(diffae.unet(source, t, z_encode), "unet_ema_t500", 2e-3)
    x_T = diffae.encode_stochastic(source, z_encode, 2)
    check(x_T, "xT_T2", 4e-4)
    check(diffae.decode(x_T, z_render, 2, unet=unet), "output_T2_model", 2e-3)
    check(diffae.decode(x_T, z_render, 2), "output_T2_ema", 2e-3)


def test_timesteps_and_schedule_equal_the_published_ones():
    numbers = golden("e2e")
    schedule = DiffAE(SMALL_DIFFAE).schedule
    for count in (2, 20, 50):
        timesteps = schedule.timesteps(count)
        assert list(timesteps) == numbers[f"timesteps_T{count}"].tolist()
        abar = torch.tensor([schedule.alphas_cumprod[t] for t in timesteps], dtype=torch.float64)
        assert_close(abar, numbers[f"alphas_cumprod_T{count}"], atol=1e-15, rtol=0)
