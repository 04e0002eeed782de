import numpy as np
import pytest
import torch

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.open.fitting import (
    expression_from_scores,
    fit_landmarks,
    fit_params,
)
from reenact.face.open.gaze import gaze_from_pupils
from reenact.face.open.tracker_offsets import MIRRORED, tracker_offsets
from reenact.face.params import FaceParams

COUNT = 16


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


@pytest.fixture(scope="module")
def truth() -> FaceParams:
    """One person, 16 poses and expressions, 50 to 90 pixels per dm."""
    g = torch.Generator().manual_seed(0)
    expression = torch.zeros(COUNT, 52)
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "browInnerUp"):
        expression[:, EXPRESSION_NAMES.index(name)] = torch.rand(COUNT, generator=g) * 0.6
    return FaceParams(
        identity=torch.randn(1, 80, generator=g).expand(COUNT, -1),
        expression=expression,
        rotation=(torch.rand(COUNT, 3, generator=g) - 0.5) * torch.tensor([1.4, 0.7, 0.7]),
        translation=100 + 60 * torch.rand(COUNT, 2, generator=g),
        scale=50 + 40 * torch.rand(COUNT, generator=g),
        gaze=(torch.rand(COUNT, 2, generator=g) - 0.5) * 0.8,
    )


def noisy(values: torch.Tensor, amount: float) -> torch.Tensor:
    return values + amount * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))


def test_exact_points_of_a_known_person(head, truth):
    """Landmarks without error, scores and first rotation with some."""
    landmarks = head.landmarks(truth)
    fit = fit_landmarks(
        landmarks,
        noisy(truth.expression, 0.03).clamp(0, 1),
        noisy(truth.rotation, 0.05),
        head,
        pupils=head.pupils(truth),
        identity=truth.identity[0],
    )
    assert torch.rad2deg(fit.rotation - truth.rotation).abs().mean(0).max() < 0.5
    assert (head.landmarks(fit) - landmarks).norm(dim=-1)[:, 17:].mean() < 0.3
    assert (head.pupils(fit) - head.pupils(truth)).norm(dim=-1).mean() < 0.4
    assert torch.rad2deg(fit.gaze - truth.gaze).abs().mean() < 2


def test_truth_is_a_fixed_point(head, truth):
    fit = fit_landmarks(
        head.landmarks(truth), truth.expression, truth.rotation, head, identity=truth.identity[0]
    )
    torch.testing.assert_close(fit.rotation, truth.rotation, atol=1e-4, rtol=0)
    torch.testing.assert_close(fit.scale, truth.scale, atol=1e-2, rtol=0)
    torch.testing.assert_close(fit.expression, truth.expression, atol=1e-3, rtol=0)


def test_one_identity_for_a_video(head, truth):
    landmarks = head.landmarks(truth)
    start = noisy(truth.rotation, 0.05)
    chosen = torch.ones(COUNT, dtype=torch.bool)
    chosen[3] = False
    broken = landmarks.clone()
    broken[3] = noisy(landmarks[3], 60)
    fit = fit_landmarks(broken, truth.expression, start, head, shared=chosen)
    assert (fit.identity == fit.identity[0]).all()
    good = [k for k in range(COUNT) if k != 3]
    error = (head.landmarks(fit) - landmarks).norm(dim=-1)[good, 17:]
    mean_head = fit_landmarks(broken, truth.expression, start, head, identity=torch.zeros(80))
    worse = (head.landmarks(mean_head) - landmarks).norm(dim=-1)[good, 17:]
    assert error.mean() < 0.8 * worse.mean()
    assert error.mean() < 0.6
    turn = torch.rad2deg(fit.rotation - truth.rotation)[good].abs().mean(0)
    assert turn.max() < 2


def test_any_input_gives_finite_results(head):
    fit = fit_landmarks(
        torch.rand(2, 68, 2) * 300,
        torch.rand(2, 52),
        torch.zeros(2, 3),
        head,
        pupils=torch.rand(2, 2, 2) * 300,
    )
    assert all(torch.isfinite(v).all() for v in fit.tensors().values())
    assert (fit.scale > 0).all()


def test_offsets_are_symmetric_and_small():
    offsets = tracker_offsets()
    mirrored = offsets[list(MIRRORED)] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(offsets, mirrored)
    assert offsets[17:].abs().max() < 0.06
    assert sorted(MIRRORED) == list(range(68))
    assert [MIRRORED[k] for k in MIRRORED] == list(range(68))


def test_scores_at_rest_mean_no_expression():
    scores = torch.zeros(1, 52)
    scores[0, EXPRESSION_NAMES.index("browDownLeft")] = 0.25
    scores[0, EXPRESSION_NAMES.index("eyeSquintRight")] = 0.3
    assert expression_from_scores(scores).abs().max() == 0
    assert expression_from_scores(torch.ones(1, 52)).min() == 1


def test_closed_eyes_look_ahead(head, truth):
    expression = truth.expression.clone()
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[:, EXPRESSION_NAMES.index(name)] = 1.0
    closed = FaceParams(**(truth.tensors() | {"expression": expression}))
    gaze = gaze_from_pupils(closed, head.pupils(closed), head.landmarks(closed), head)
    assert gaze.abs().max() == 0


@pytest.mark.slow
def test_rendered_heads(tmp_path, head):
    """Tracker and fit together on renders of known heads."""
    from reenact.data.synthetic.clips import SyntheticConfig
    from reenact.data.synthetic.generate import generate
    from reenact.face.open.tracker import FaceTracker

    config = SyntheticConfig(
        out=tmp_path, clips=4, frames=6, size=256, split="val", workers=1, cross=0
    )
    generate(config)
    tracker = FaceTracker()
    turn, distance, blink = [], [], []
    at = EXPRESSION_NAMES.index("eyeBlinkLeft")
    for folder in sorted(tmp_path.glob("val_*")):
        true = FaceParams.from_numpy(dict(np.load(folder / "params.npz")))
        with torch.no_grad():
            tracked = tracker.track_images(tracker.images(np.load(folder / "frames.npy")))
        assert tracked.found.all()
        fit = fit_params(tracked, head, shared_identity=True)
        turn.append(torch.rad2deg(fit.rotation - true.rotation).abs())
        truth = head.landmarks(true)
        eyes = (truth[:, 36] - truth[:, 45]).norm(dim=-1, keepdim=True)
        distance.append((head.landmarks(fit) - truth).norm(dim=-1)[:, 17:] / eyes)
        blink.append(torch.stack([fit.expression[:, at], true.expression[:, at]]))
    yaw, pitch, roll = torch.cat(turn).mean(0).tolist()
    assert yaw < 2
    assert pitch < 4.5
    assert roll < 1.5
    assert torch.cat(distance).mean() < 0.03
    assert torch.corrcoef(torch.cat(blink, 1))[0, 1] > 0.7
