"""The reenactor's settings against the recipe of its weights."""

import dataclasses

import pytest
import torch

from diffae import DiffAE
from reenact.errors import UserError
from reenact.inference import load
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.models.checkpoint import save_reenactor
from reenact.models.weights import Recipe

TRAINED = Recipe(num_steps=7, encode_steps=4, sampler="ddim_trailing", x_T="mixed")


def test_null_means_as_trained(weights, fake_face):
    trained = dataclasses.replace(weights, recipe=TRAINED)
    reenactor = Reenactor(trained, fake_face, ReenactorConfig(precision="fp32"))
    assert reenactor.recipe == TRAINED
    assert reenactor.config.num_steps == 7
    assert reenactor.networks.recipe == TRAINED
    changed = Reenactor(trained, fake_face, ReenactorConfig(num_steps=3, x_T="random"))
    assert changed.recipe == dataclasses.replace(TRAINED, num_steps=3, x_T="random")


def test_every_value_of_the_recipe_can_be_set():
    names = {field.name for field in dataclasses.fields(ReenactorConfig)}
    assert names >= {field.name for field in dataclasses.fields(Recipe)}
    assert ReenactorConfig().recipe(TRAINED) == TRAINED
    assert ReenactorConfig(**dataclasses.asdict(TRAINED)).recipe(Recipe()) == TRAINED


def test_steps_are_judged_by_the_sampler_that_takes_them():
    assert ReenactorConfig(num_steps=13).recipe(TRAINED).num_steps == 13
    with pytest.raises(UserError, match="num_steps 999 cannot be spaced"):
        ReenactorConfig(num_steps=999).recipe(Recipe())
    with pytest.raises(UserError, match="num_steps 999 cannot be spaced"):
        ReenactorConfig(num_steps=999, sampler="ddim")


def test_an_unknown_start_is_one_line():
    with pytest.raises(UserError, match=r"x_T: must be one of source, .*layered, got 'pure'"):
        ReenactorConfig(x_T="pure")


@pytest.fixture
def path(weights, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, weights.diffae, weights.encoder, recipe=TRAINED)
    return path


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        (ReenactorConfig(), ""),
        (ReenactorConfig(num_steps=7, carry_detail=False), ""),
        (
            ReenactorConfig(num_steps=2, carry_detail=True, temperature=1.0),
            "trained to be rendered otherwise: num_steps 7, now 2; carry_detail false, now true\n",
        ),
    ],
)
def test_another_value_warns_once(path, config, warning, fake_face, monkeypatch, capsys):
    monkeypatch.setattr(load, "make_face_stack", lambda config, device: fake_face)
    Reenactor.load(path, config=config, device="cpu")
    assert capsys.readouterr().err == (f"warning: {path}: {warning}" if warning else "")


def test_weights_without_a_recipe_warn_about_what_is_left_open(
    weights, tmp_path, fake_face, monkeypatch, capsys
):
    monkeypatch.setattr(load, "make_face_stack", lambda config, device: fake_face)
    path = tmp_path / "old.safetensors"
    save_reenactor(path, weights.diffae, weights.encoder)
    complete = ReenactorConfig(**dataclasses.asdict(TRAINED))
    Reenactor.load(path, config=complete, device="cpu")
    assert capsys.readouterr().err == ""
    Reenactor.load(path, config=dataclasses.replace(complete, num_steps=None), device="cpu")
    warned = capsys.readouterr().err
    assert warned.count("\n") == 1
    assert warned.endswith("the paper's way is taken: num_steps 20\n")


def test_the_authors_weights_have_the_published_recipe():
    from reenact.models.released import PUBLISHED_RECIPE

    assert Recipe() == PUBLISHED_RECIPE
    assert (PUBLISHED_RECIPE.encode_steps, PUBLISHED_RECIPE.num_steps) == (50, 20)
    assert (PUBLISHED_RECIPE.x_T, PUBLISHED_RECIPE.sampler) == ("source", "ddim")


def test_a_strength_below_one_leaves_out_the_noisiest_steps(weights, fake_face, monkeypatch):
    config = ReenactorConfig(num_steps=4, encode_steps=4, sampler="ddim_trailing", precision="fp32")
    calls = []
    predict = DiffAE.predict_x_0_eps

    def counted(self, x_t, t, *rest, **options):
        calls.append(int(t[0]))
        return predict(self, x_t, t, *rest, **options)

    monkeypatch.setattr(DiffAE, "predict_x_0_eps", counted)
    image, code = torch.rand(1, 3, 32, 32), torch.rand(1, weights.diffae.config.z_channels)
    for x_T, strength, expected in (
        ("moved", 0.5, [0, 250, 499, 249]),
        ("moved", 1.0, [0, 250, 500, 750, 999, 749, 499, 249]),
        ("source", 0.5, [0, 250, 500, 750, 999, 749, 499, 249]),
    ):
        chosen = dataclasses.replace(config, x_T=x_T, strength=strength)
        networks = Reenactor(weights, fake_face, chosen).networks
        with torch.no_grad():
            networks.decode(networks.invert(image, code), code)
        assert calls == expected, x_T
        calls.clear()
