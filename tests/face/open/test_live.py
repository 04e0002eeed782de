"""Live tracking: frame by frame, without later frames, close to what a whole film gives."""

import numpy as np
import pytest
import torch

from reenact.assets import asset_path
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.open.stack import OpenFaceStack
from reenact.media.animation import open_clip

FRAMES = 24
BROWS = torch.tensor([name.startswith("brow") for name in EXPRESSION_NAMES])


@pytest.fixture(scope="module")
def stack() -> OpenFaceStack:
    return OpenFaceStack()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return list(open_clip(asset_path("demo_target.mp4"), fps=None, max_frames=FRAMES))


def track(stack, frames, fps=25.0):
    tracker = stack.live_tracker(128)
    return [tracker.update(frame, i / fps) for i, frame in enumerate(frames)]


@pytest.fixture(scope="module")
def live(stack, frames):
    return track(stack, frames)


def test_it_is_close_to_the_tracking_of_a_whole_film(stack, frames, live):
    film = stack.target_motion(frames, 25.0, 128)
    assert all(now.found.all() for now in live)
    for i, now in enumerate(live):
        turn = (now.params.rotation - film.params[i].rotation).abs().max()
        assert turn < 0.06  # radians
        off = (now.params.expression - film.params[i].expression).abs()[0]
        assert off[~BROWS].max() < 0.25
        if i >= FRAMES // 2:  # earlier, few frames have shown the brows at rest
            assert off[BROWS].max() < 0.25
        assert abs(float((now.params.scale / film.params[i].scale).log())) < 0.08


def test_a_result_does_not_depend_on_later_frames(stack, frames, live):
    for one, other in zip(track(stack, frames[:6]), live, strict=False):
        for name, value in one.params.tensors().items():
            assert (value == other.params.tensors()[name]).all(), name


def test_a_still_picture_stays_still(stack, frames):
    moved = track(stack, [frames[0]] * 5)
    assert (moved[-1].params.rotation - moved[0].params.rotation).abs().max() < 1e-6


def test_a_lost_face_holds_the_last_one(stack, frames):
    empty = np.zeros_like(frames[0])
    none, first, lost, back = track(stack, [empty, frames[0], empty, frames[0]])
    assert none is None
    assert first.found.all()
    assert not lost.found.any()
    assert lost.person.tolist() == [-1]
    assert (lost.params.expression == first.params.expression).all()
    assert back.found.all()
