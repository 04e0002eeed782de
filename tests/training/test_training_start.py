"""Training and inference make the same code, start and picture of the same pair."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from diffae import DiffAE
from reenact.config import load_config
from reenact.evaluation.run_config import EvalRun
from reenact.face.factory import FaceConfig, make_face_stack
from reenact.face.params import FaceParams
from reenact.inference.config import ReenactorConfig
from reenact.inference.networks import Networks
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.inference.start import STARTS
from reenact.models.checkpoint import load_reenactor
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe, ReenactorWeights
from reenact.training.drawer import Drawer
from reenact.training.run_config import TrainRun
from tools.fuzz.material import tiny_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SIZE = 32


@pytest.fixture(scope="module")
def weights() -> ReenactorWeights:
    torch.manual_seed(1)
    config = tiny_config()
    diffae = DiffAE(config)
    encoder = ReenactmentEncoder(DiffAE(config).encoder, has_motion_head=True)
    unet = DiffAE(config).unet
    with torch.no_grad():
        for net in (diffae, encoder, unet):
            for weight in net.parameters():
                weight.add_(0.05 * torch.randn_like(weight))
    return ReenactorWeights(
        diffae=diffae.eval(), encoder=encoder.eval(), unet=unet.eval(), metadata={}
    )


def faces(turn: float) -> FaceParams:
    params = FaceParams.neutral(2)
    return replace(
        params,
        translation=torch.full((2, 2), SIZE / 2) + turn,
        scale=torch.tensor([SIZE / 4, SIZE / 5]),
        rotation=torch.tensor([[turn, 0.0, 0.1], [-turn, 0.1, 0.0]]),
        expression=torch.full_like(params.expression, abs(turn)),
    )


@pytest.mark.parametrize("x_T", [n for n, start in STARTS.items() if not start.needs_layers])
def test_training_and_inference_render_the_same_picture(weights, x_T):
    torch.manual_seed(2)
    source, target, image = faces(0.0), faces(0.3), torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    recipe = Recipe(num_steps=2, encode_steps=2, sampler="ddim_trailing", x_T=x_T)
    config = ReenactorConfig(precision="fp32", seed=3)
    face = make_face_stack(FaceConfig(), torch.device("cpu"))
    reenactor = Reenactor(replace(weights, recipe=recipe), face, config)
    inferred = reenactor.render(reenactor.set_source(image, source), target)

    networks = Networks(
        diffae=weights.diffae, encoder=weights.encoder, unet=weights.unet, recipe=recipe
    )
    noise = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    batch = {"source": image, "eps": noise.expand(2, -1, -1, -1)}
    for role, params in (("source", source), ("target", target)):
        batch |= {f"{role}_{name}": value for name, value in params.tensors().items()}
    draw = Drawer(FaceConfig(), SIZE, torch.device("cpu"), has_motion=True)
    drawings = draw.drawings(batch)
    z_r = networks.code(image, drawings)
    start = networks.start(image, drawings, batch["eps"], z_r=z_r)
    trained = networks.decode(start, z_r)
    torch.testing.assert_close(trained.clamp(-1, 1), inferred, atol=1e-5, rtol=0)

    assert not start.requires_grad
    trained.square().mean().backward()
    gradient = weights.encoder.zero_conv.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    weights.encoder.zero_grad()


def test_drawings_are_float32_in_a_training_step_of_bfloat16():
    batch = {}
    for role, params in (("source", faces(0.0)), ("target", faces(0.3))):
        batch |= {f"{role}_{name}": value for name, value in params.tensors().items()}

    def drawn() -> list[torch.Tensor]:
        draw = Drawer(FaceConfig(), SIZE, torch.device("cpu"), has_motion=True).drawings(batch)
        return [draw.landmark_map(), draw.motion(), draw.head_region(), draw.motion_field().grid]

    exact = drawn()
    with torch.autocast("cpu", torch.bfloat16):
        assert (torch.rand(2, 2) @ torch.rand(2, 2)).dtype == torch.bfloat16
        for ours, wanted in zip(drawn(), exact, strict=True):
            assert torch.equal(ours, wanted)


def recipe_values(config: object) -> set[object]:
    return {getattr(config, field.name) for field in fields(Recipe)}


@pytest.mark.parametrize("folder", ["embedded", "voxceleb256"])
def test_evaluation_and_inference_take_the_recipe_of_the_training(folder):
    """So that neither can differ from what the weights were trained for."""
    run = load_config(CONFIGS / folder / "eval.yaml", EvalRun)
    assert recipe_values(run.reenactor) == {None}
    for name in ("embedded/infer.yaml", "released.yaml"):
        assert recipe_values(load_config(CONFIGS / name, InferRun).reenactor) == {None}
    train = load_config(CONFIGS / folder / "reenact.yaml", TrainRun)
    recipe = train.reenact.recipe
    assert (train.logging.num_steps, train.logging.encode_steps) == (
        recipe.num_steps,
        recipe.encode_steps,
    ), "previews show what inference will give"


def test_the_shipped_recipe_is_that_of_the_config_that_trained_the_weights():
    from reenact.assets import EMBEDDED_WEIGHTS, asset_path

    train = load_config(CONFIGS / "embedded" / "reenact.yaml", TrainRun)
    expected = train.reenact.recipe
    assert load_reenactor(asset_path(EMBEDDED_WEIGHTS)).recipe == expected
