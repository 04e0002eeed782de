"""Stage `reenact` on the layers of photos, and with one U-Net that renders and inverts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from reenact.data.augment import AugmentConfig
from reenact.data.dataset import ClipDataset, PairConfig, draw_batch
from reenact.data.synthetic.clips import SyntheticConfig
from reenact.data.synthetic.generate import generate
from reenact.errors import UserError
from reenact.face.crop import FaceCrop
from reenact.face.factory import FaceConfig, make_face_stack
from reenact.face.params import FaceParams
from reenact.face.person_mask import KnownPerson
from reenact.inference.canvas import SourceView, middle, wide_view
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.media.images import frame_from_image
from reenact.models.checkpoint import load_reenactor
from reenact.training.run_config import TrainRun
from reenact.training.stage_reenact import ReenactStage
from tests.training.conftest import PLAIN_WEIGHTS

SIZE = 32
CPU = torch.device("cpu")
LAYERED = {
    "render": "sampler",
    "render_steps": 2,
    "encode_steps": 2,
    "grad_steps": 0,
    "x_T": "layered",
    "carry_detail": True,
    "temperature": 0.0,
    "tune_unet": True,
    "share_unet": True,
    "weights": PLAIN_WEIGHTS | {"background": 0.0, "pixel": 0.0, "composed": 1.0},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    generate(SyntheticConfig(out=root, clips=3, frames=4, size=SIZE, cross=4, workers=1))
    return root


@pytest.fixture
def run(make_run, root) -> TrainRun:
    run: TrainRun = make_run("reenact", size=SIZE, reenact=LAYERED)
    return replace(run, data=replace(run.data, root=root, augment=AugmentConfig()))


def changed(run: TrainRun, **changes: object) -> TrainRun:
    """The run with other settings of its stage."""
    assert run.reenact is not None
    return replace(run, reenact=replace(run.reenact, **changes))


def batch_of(root: Path, count: int = 4) -> dict[str, Tensor]:
    return draw_batch(
        ClipDataset(root, "train"),
        pairs=PairConfig(cross_fraction=0.5, with_photo=True),
        config=AugmentConfig(colour=0.2, contrast=0.2),
        batch_size=count,
        seed=1,
        step=0,
    )


def test_the_source_is_the_middle_of_its_photo(root):
    batch = batch_of(root)
    assert torch.equal(batch["source"], middle(batch["photo"], SIZE))
    assert batch["is_cross"].unique().tolist() == [False, True]
    still = torch.eye(3).expand(4, 3, 3)
    moved = (batch["reference_from_source"] - still).abs().amax((1, 2)) > 0.01
    assert torch.equal(moved, ~batch["is_cross"]), "rendered cross frames keep the source's crop"


def test_the_networks_learn_from_the_finished_picture_where_they_decide_it(run, root):
    judged = replace(run.reenact.weights, composed_perceptual=0.1, composed_identity=1.0)
    stage, batch = ReenactStage(changed(run, weights=judged), CPU), batch_of(root)
    # A cheek that the photo hides turns into view.
    batch["source_rotation"][:, 0], batch["target_rotation"][:, 0] = 0.7, -0.4
    drawings = stage.draw.drawings(batch)
    prediction = torch.zeros(4, 3, SIZE, SIZE, requires_grad=True)
    composed, decided = stage._composed(prediction, drawings)
    assert composed is not None
    assert decided is not None
    assert composed.shape == prediction.shape
    other, _ = stage._composed(prediction + 0.5, drawings)
    away = (composed - other).abs().amax(1, keepdim=True)
    assert decided.amax() > 0.2
    assert away[decided == 0].amax() < 1e-4, "elsewhere it is the photo's own person and plate"
    composed.sum().backward()
    assert prediction.grad is not None
    assert prediction.grad.abs().sum() > 0

    _shake(stage)  # fresh networks have zeros in their last layers
    loss, tallies = stage.loss(stage.model, batch)
    loss.sum().backward()
    assert tallies.keys() == {"loss", "composed", "composed_perceptual", "composed_identity"}
    for network in (stage.model.encoder, stage.model.unet):
        assert sum(float(w.grad.abs().sum()) for w in network.parameters() if w.grad is not None)
    assert all(weight.grad is None for weight in stage.diffae.parameters())


@pytest.mark.parametrize("x_T", ["layered", "moved"])
def test_a_shared_unet_is_stored_once_and_renders_as_in_training(run, root, tmp_path, x_T):
    stage, batch = ReenactStage(changed(run, x_T=x_T), CPU), batch_of(root)
    _shake(stage)
    path = tmp_path / "shared.safetensors"
    stage.export(stage.model, path, 1)
    with safe_open(path, "pt") as file:
        parts = {name.partition(".unet.")[0] for name in file.keys() if "unet." in name}  # noqa: SIM118
    assert parts == {"diffae"}
    weights = load_reenactor(path)
    assert weights.unet is None
    assert weights.recipe is not None
    assert weights.recipe.x_T == x_T

    face = make_face_stack(FaceConfig(), CPU)
    reenactor = Reenactor(weights, face, ReenactorConfig(precision="fp32"))
    kinds = [
        FaceParams(**{name: batch[f"{role}_{name}"] for name in FaceParams.WIDTHS})
        for role in ("source", "target")
    ]
    matrices = batch["reference_from_source"].double().numpy()
    shift = FaceCrop(crop_from_frame=_shift(-SIZE / 2), size=SIZE)
    views = [
        wide_view(
            frame_from_image(batch["photo"][i : i + 1])[0],
            FaceCrop(crop_from_frame=matrices[i] @ shift.crop_from_frame, size=SIZE),
            KnownPerson(batch["photo_alpha"][i : i + 1]),
        )
        for i in range(4)
    ]
    placed = kinds[0].transformed(matrices)
    state = reenactor.set_source(batch["source"], kinds[0], SourceView.cat(views), placed)
    inferred = middle(reenactor.render(state, kinds[1]), SIZE)
    with torch.no_grad():
        drawings = stage.draw.drawings(batch)
        prediction = stage.render(stage.model, batch, drawings)
        trained, _ = stage._composed(prediction, drawings)
    torch.testing.assert_close(trained.clamp(-1, 1), inferred, atol=1e-4, rtol=0)


def test_some_samples_start_from_the_source_where_the_code_alone_moves_the_head(run, root):
    stage, batch = ReenactStage(run, CPU), batch_of(root)
    _shake(stage)
    config = run.reenact

    def rendered(**changes: object) -> Tensor:
        stage.config = replace(config, **changes)
        with torch.no_grad():
            return stage.render(stage.model, batch, stage.draw.drawings(batch))

    batch["u"] = torch.tensor([0.2, 0.7, 0.1, 0.9])
    plain = replace(config.weights, composed=0.0, pixel=1.0)
    usual, paper = rendered(strength=0.5), rendered(x_T="source", weights=plain)
    mixed = rendered(strength=0.5, source_start_fraction=0.5)
    expected = torch.where(batch["u"][:, None, None, None] < 0.5, paper, usual)
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=0)
    assert (usual - paper).abs().amax((1, 2, 3)).amin() > 1e-3, "the two starts differ"


def _shake(stage: ReenactStage) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in stage.model.parameters():
            weight.add_(0.02 * torch.randn_like(weight))


def _shift(pixels: float):
    matrix = torch.eye(3, dtype=torch.float64).numpy()
    matrix[:2, 2] = pixels
    return matrix


def test_clips_without_photos_are_one_line(make_run):
    run = make_run("reenact", size=SIZE)
    dataset = ClipDataset(run.data.root, "train")
    with pytest.raises(UserError, match=r"photo\.npy: no photo around the first frame"):
        draw_batch(
            dataset,
            pairs=PairConfig(with_photo=True),
            config=AugmentConfig(),
            batch_size=1,
            seed=0,
            step=0,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"carry_detail": False},
            "x_T: layered starts from .* layers, set carry_detail to true",
        ),
        (
            {"x_T": "moved", "carry_detail": False},
            "weights: composed, .* judge the finished picture, set carry_detail to true",
        ),
        ({"tune_unet": False}, "share_unet: the U-Net must be trained, set tune_unet to true"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(make_run, changes, message):
    with pytest.raises(UserError, match=message):
        make_run("reenact", reenact=LAYERED | changes)
