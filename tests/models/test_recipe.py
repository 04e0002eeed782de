"""How weights want to be rendered: written with them, read with them."""

import copy
from dataclasses import replace

import pytest
import torch

from diffae import CheckpointError, DiffAE, DiffAEConfig
from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.errors import UserError
from reenact.models.checkpoint import load_reenactor, save_reenactor
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe

RECIPE = Recipe(
    num_steps=3,
    encode_steps=4,
    sampler="ddim_trailing",
    x_T="moved",
    carry_detail=True,
    temperature=0.5,
)
OTHER = replace(RECIPE, num_steps=7)


@pytest.fixture(scope="module")
def networks() -> tuple[DiffAE, ReenactmentEncoder]:
    torch.manual_seed(0)
    diffae = DiffAE(
        DiffAEConfig(
            image_size=16,
            base_channels=32,
            channel_mults=(1,),
            encoder_channel_mults=(1,),
            attention_resolutions=(),
            num_res_blocks=1,
            z_channels=16,
            time_channels=32,
        )
    )
    return diffae, ReenactmentEncoder(copy.deepcopy(diffae.encoder))


def test_the_recipe_travels_in_the_header(tmp_path, networks):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, *networks, recipe=RECIPE)
    assert load_reenactor(path).recipe == RECIPE
    path.with_suffix(".recipe.json").write_text(OTHER.to_json())
    assert load_reenactor(path).recipe == RECIPE, "the header comes first"


def test_weights_without_one_may_have_it_beside_them(tmp_path, networks):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, *networks)
    assert load_reenactor(path).recipe is None
    path.with_suffix(".recipe.json").write_text(OTHER.to_json())
    assert load_reenactor(path).recipe == OTHER


def test_the_shipped_weights_have_the_recipe_they_were_trained_with():
    recipe = load_reenactor(asset_path(EMBEDDED_WEIGHTS)).recipe
    assert recipe == Recipe(
        num_steps=2,
        encode_steps=2,
        sampler="ddim_trailing",
        x_T="moved",
        carry_detail=True,
        temperature=0.0,
        strength=0.5,
    )
    assert recipe.first_timestep == 499


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 5000, "not valid JSON"),
        ("[1]", "expected keys and values"),
        ('{"steps": 2}', "unknown key 'steps'"),
        ('{"num_steps": "many"}', "'num_steps' must be an integer"),
        ('{"temperature": 2.0}', "temperature: must be at least 0 and at most 1, got 2"),
        ('{"sampler": "euler"}', "'sampler' must be one of"),
        ('{"encode_steps": 999}', "encode_steps 999 cannot be spaced"),
        ('{"strength": 0.0}', "strength: 0 leaves none of 20 steps"),
    ],
)
def test_a_broken_recipe_is_one_line_that_names_the_file(tmp_path, networks, text, message):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, *networks)
    path.with_suffix(".recipe.json").write_text(text)
    with pytest.raises(CheckpointError, match=message) as error:
        load_reenactor(path)
    assert str(error.value).startswith(str(path.with_suffix(".recipe.json")))
    assert "\n" not in str(error.value)


def test_impossible_numbers_of_steps_are_refused():
    assert Recipe(num_steps=7, sampler="ddim_trailing").num_steps == 7
    with pytest.raises(UserError, match="num_steps 999 cannot be spaced"):
        Recipe(num_steps=999)
