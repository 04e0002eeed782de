"""The released architectures' parameter names, shapes and counts, and reading configs off them."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from diffae import DiffAE, DiffAEConfig
from diffae.architecture import infer_config
from diffae.checkpoint import describe_difference, module_name, official_name

Shapes = dict[str, tuple[int, ...]]

RELEASED = {
    "ffhq64": DiffAEConfig(
        image_size=64,
        base_channels=64,
        channel_mults=(1, 2, 4, 8),
        encoder_channel_mults=(1, 2, 4, 8, 8),
    ),
    "ffhq128": DiffAEConfig(
        image_size=128,
        base_channels=128,
        channel_mults=(1, 1, 2, 3, 4),
        encoder_channel_mults=(1, 1, 2, 3, 4, 4),
    ),
    "ffhq256": DiffAEConfig(
        image_size=256,
        base_channels=128,
        channel_mults=(1, 1, 2, 2, 4, 4),
        encoder_channel_mults=(1, 1, 2, 2, 4, 4, 4),
    ),
}
COUNTS = {  # (keys, encoder parameters, U-Net parameters, style-space length)
    "ffhq64": (506, 19_320_512, 71_518_723, 7_168),
    "ffhq128": (608, 24_673_536, 103_871_619, 10_240),
    "ffhq256": (706, 30_150_400, 138_341_891, 12_928),
}


def read_shapes(path: Path) -> Shapes:
    """Lines 'key 3x4' -> {key: (3, 4)}."""
    pairs = (line.split() for line in path.read_text().splitlines())
    return {key: tuple(int(n) for n in shape.split("x")) for key, shape in pairs}


def shapes_of(config: DiffAEConfig) -> Shapes:
    with torch.device("meta"):
        state = DiffAE(config).state_dict()
    return {official_name(name): tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("name", RELEASED)
def test_names_and_shapes_match_both_ways(golden_dir: Path, name: str):
    official = read_shapes(golden_dir / f"{name}_keys.txt")
    ours = shapes_of(RELEASED[name])
    assert describe_difference(official, ours) == ""
    assert all(official_name(module_name(key)) == key for key in official)
    num_keys, num_encoder, num_unet, num_styles = COUNTS[name]
    assert len(ours) == num_keys
    sizes = {key: math.prod(shape) for key, shape in ours.items()}
    assert sum(n for key, n in sizes.items() if key.startswith("encoder.")) == num_encoder
    assert sum(n for key, n in sizes.items() if not key.startswith("encoder.")) == num_unet
    styles = [s[0] for key, s in ours.items() if key.endswith("cond_emb_layers.1.weight")]
    assert sum(styles) == num_styles


@pytest.mark.parametrize("name", RELEASED)
@pytest.mark.parametrize("knows_size", [False, True])
def test_released_configs_are_inferred(golden_dir: Path, name: str, knows_size: bool):
    shapes = read_shapes(golden_dir / f"{name}_keys.txt")
    expected = RELEASED[name]
    assert infer_config(shapes, expected.image_size if knows_size else None) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conditioning": "scale_shift"},
        {"z_grid": 8},
        {"z_grid": 8, "conditioning": "scale_shift", "num_res_blocks": 2},
        {"attention_resolutions": (8, 16)},
        {"attention_resolutions": (), "z_grid": 8},
        {"encoder_channel_mults": (0.5, 1, 2, 2)},
    ],
)
def test_own_configs_are_inferred(small_config, changes: dict[str, object]):
    config = small_config(**changes)
    assert infer_config(shapes_of(config), 16) == config


def test_z_grid_tells_the_image_size(small_config):
    config = small_config(z_grid=8)
    assert infer_config(shapes_of(config)) == config


def test_foreign_keys_are_refused():
    with pytest.raises(ValueError, match=r"not a Diffusion Autoencoder.*time_embed"):
        infer_config({"conv.weight": (3, 3)})


def test_unknown_image_size_is_refused(small_config):
    with pytest.raises(ValueError, match="image size"):
        infer_config(shapes_of(small_config(attention_resolutions=())))


def test_json_gives_back_the_config(small_config):
    config = small_config(z_grid=8, prediction="v", channel_mults=(1, 2.0))
    assert DiffAEConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("text", ["[]", "{}", '{"image_size": 4, "colour": 1}', "nonsense"])
def test_bad_json_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        DiffAEConfig.from_json(text)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(DiffAEConfig)])
def test_values_of_another_type_or_without_end_are_value_errors(name: str):
    """They come from the headers of damaged files."""
    plain = {"image_size": 32, "base_channels": 32, "channel_mults": [1]}
    plain |= {"encoder_channel_mults": [1, 1], "attention_resolutions": []}
    for value in (None, True, "16", {}, 1.5, math.nan, 10**20, 10**400, -1, ["a"], [10**6], [-1]):
        with pytest.raises(ValueError, match=r"."):
            DiffAEConfig.from_json(json.dumps(plain | {name: value}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 15}, "do not fit image_size"),
        ({"z_grid": 4}, "lowest U-Net resolution 8"),
        ({"prediction": "x"}, "prediction"),
        ({"conditioning": "shift"}, "conditioning"),
        ({"channel_mults": (1, 1.5)}, "gets 48 channels; group norm"),
        ({"channel_mults": (1, 0.5)}, "group norm"),
        ({"dropout": 1.0}, "dropout"),
        ({"num_res_blocks": 0}, "num_res_blocks"),
    ],
)
def test_bad_configs_are_refused(small_config, changes: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        small_config(**changes)
