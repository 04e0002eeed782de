"""Films with cuts and several people: frames of the demo clip and a NASA photo, side by side."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from reenact.assets import asset_path
from reenact.face.open.following import VideoTracker
from reenact.face.open.stack import OpenFaceStack
from reenact.media.video_reader import VideoReader
from reenact.threads import torch_threads

SIDE = 256


@pytest.fixture(scope="module")
def stack() -> OpenFaceStack:
    return OpenFaceStack()


def resized(frame: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BOX))


@pytest.fixture(scope="module")
def man() -> list[np.ndarray]:
    """Twelve frames of the demo clip, (SIDE, SIDE)."""
    frames = [
        f for f, _ in zip(VideoReader(asset_path("demo_target.mp4")), range(12), strict=False)
    ]
    return [resized(frame, SIDE) for frame in frames]


@pytest.fixture(scope="module")
def woman() -> np.ndarray:
    astronaut = pytest.importorskip("skimage.data").astronaut()[:384, 64:448, :3]
    return resized(np.ascontiguousarray(astronaut), SIDE)


def pair(left: np.ndarray | None, right: np.ndarray | None, side: int = 128) -> np.ndarray:
    """One frame: a picture at the left, a smaller one at the right."""
    frame = np.full((SIDE, 2 * SIDE, 3), 120, np.uint8)
    if left is not None:
        frame[:, :SIDE] = left
    if right is not None:
        frame[64 : 64 + side, SIDE + 64 : SIDE + 64 + side] = resized(right, side)
    return frame


def follow(stack: OpenFaceStack, frames: list[np.ndarray]) -> tuple[list[int], list[int]]:
    faces = VideoTracker(stack.tracker).update(np.stack(frames))
    assert faces.found.equal(faces.person == 0)
    return faces.person.tolist(), faces.shot.tolist()


def test_a_lost_face_is_waited_for(stack, man, woman):
    frames = [pair(man[i] if i not in (3, 4, 5) else None, woman) for i in range(8)]
    assert follow(stack, frames) == ([0, 0, 0, 1, 1, 1, 0, 0], [0] * 8)


def test_who_stood_beside_the_first_person_is_another_one_however_alike(stack, man):
    frames = [pair(man[i] if i not in (3, 4, 5) else None, man[i]) for i in range(8)]
    assert follow(stack, frames) == ([0, 0, 0, 1, 1, 1, 0, 0], [0] * 8)


def test_a_face_that_is_gone_alone_is_simply_found_again(stack, man):
    frames = [*man[:3], np.full_like(man[0], 90), *man[4:6]]
    person, _ = follow(stack, frames)
    assert person == [0, 0, 0, -1, 0, 0]


def test_a_cut_to_another_person_and_back(stack, man, woman):
    frames = [*man[:3], woman, woman, *man[3:6]]
    assert follow(stack, frames) == ([0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 2, 2, 2])
    motion = stack.target_motion(frames, 25.0, 64)
    assert motion.found.tolist() == [True] * 3 + [False] * 2 + [True] * 3
    assert (motion.num_missing, motion.num_other_people, motion.num_newcomer) == (2, 2, 0)
    held = motion.params.rotation[2:5]
    assert held[1].equal(held[2])
    assert motion.warnings() == [
        "2 of 8 target frames show only other people (2) or no face; the last pose was kept"
    ]


def test_a_newcomer_takes_over_when_the_first_person_never_returns(stack, man, woman):
    motion = stack.target_motion([*man[:3], woman, woman, woman], 25.0, 64)
    assert motion.found.all()
    assert (motion.num_cuts, motion.num_newcomer, motion.num_missing) == (1, 3, 0)
    identity = motion.params.identity
    assert identity[:3].equal(identity[:1].expand(3, -1))
    assert (identity[3] - identity[0]).norm() > 1
    alone = stack.target_motion([woman, woman, woman], 25.0, 64)
    assert (motion.params.rotation[3:] - alone.params.rotation).abs().max() < 1e-3
    (line,) = motion.warnings()
    assert "another person drives 3 of 6 frames" in line


def test_shots_are_calmed_apart_and_heads_stay_in_their_crops(stack, man):
    frames = [pair(man[i], None) for i in range(5)]
    frames += [np.ascontiguousarray(pair(man[i], None)[:, ::-1]) for i in range(5, 10)]
    motion = stack.target_motion(frames, 25.0, 64)
    assert motion.shot.tolist() == [0] * 5 + [1] * 5
    assert (motion.num_missing, motion.num_crop_followed) == (0, 0)
    landmarks = stack.head_model.landmarks(motion.params)
    middle = (landmarks.amin(1) + landmarks.amax(1)) / 2 / 64
    assert (middle[:, 0] - 0.5).abs().max() < 0.1
    first = stack.target_motion(frames[:5], 25.0, 64)
    np.testing.assert_allclose(
        np.stack([c.crop_from_frame for c in motion.crops[:5]]),
        np.stack([c.crop_from_frame for c in first.crops]),
        rtol=0.02,
        atol=0.5,
    )


def test_a_frozen_film_gives_a_frozen_face(stack, man):
    motion = stack.target_motion([man[0]] * 6, 25.0, 64)
    for name, value in motion.params.tensors().items():
        assert (value - value[:1]).abs().max() < 1e-5 * value.abs().max(), name
    # What stands still but for a camera's noise does not settle either: the first frame's error
    # is no larger than that of the others.
    rng = np.random.default_rng(0)
    noisy = [
        (man[0] + rng.normal(0, 1, man[0].shape)).clip(0, 255).astype(np.uint8) for _ in range(8)
    ]
    rois = VideoTracker(stack.tracker).update(np.stack(noisy)).rois
    away = (rois - rois[2:].mean(0))[:, :3].abs().amax(1)
    assert away[1] < 2 * away[2:].max()


def test_two_threads_share_the_work_and_see_exactly_what_one_sees(stack, monkeypatch):
    film = [f for f, _ in zip(VideoReader(asset_path("demo_target.mp4")), range(40), strict=False)]
    readers: list[str] = []
    read = VideoTracker._read

    def noted(self, frame, roi):
        reading = read(self, frame, roi)
        if reading is not self._guess:
            readers.append(threading.current_thread().name)
        return reading

    monkeypatch.setattr(VideoTracker, "_read", noted)
    with torch_threads(1):
        alone = VideoTracker(stack.tracker).update(film)
    in_main_thread = len(readers)
    readers.clear()
    with torch_threads(2):
        together = VideoTracker(stack.tracker).update(film)
    for name, value in vars(alone).items():
        assert torch.equal(value, getattr(together, name)), name
    mine = readers.count(threading.main_thread().name)
    assert mine < 0.8 * in_main_thread
    assert len(readers) < 1.5 * in_main_thread
