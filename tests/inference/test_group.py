"""Several people of one photo: who moves, who stands still, and how their pictures are joined."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from reenact.assets import asset_path
from reenact.errors import UserError
from reenact.face.control import Sliders
from reenact.face.crop import FaceCrop
from reenact.face.stack import FoundFace
from reenact.inference.face_numbers import first_faces, with_numbers
from reenact.inference.group import (
    OwnPart,
    at_common_times,
    close_pairs,
    neighbours_of,
    together,
)
from reenact.inference.motion import Motion, still_motion
from reenact.inference.reenactor import Reenactor
from reenact.media.timeline import constant_timeline
from tools.fuzz import material


class Everybody:
    """Takes every pixel for a person."""

    device = torch.device("cpu")

    def of_photo(self, photo: torch.Tensor, crop: FaceCrop) -> torch.Tensor:
        return torch.ones_like(photo[:, :1])


def face(number: int, x: float, side: float) -> FoundFace:
    return FoundFace(number=number, box=(x - side / 2, 50 - side / 2, x + side / 2, 50 + side / 2))


def test_each_pixel_of_the_mask_belongs_to_the_nearest_face():
    faces = [face(1, 30, 20), face(2, 90, 40)]
    crop = FaceCrop(crop_from_frame=np.diag([2.0, 2.0, 1.0]), size=64)
    photo = torch.zeros(1, 3, 100, 120)
    parts = [
        OwnPart(Everybody(), neighbours_of(one, faces, crop)).of_photo(photo, crop)[0, 0]
        for one in faces
    ]
    # Between the faces the border lies twice as far from the larger one: at column 30 + 20.
    assert parts[0][50, 42] == 1
    assert parts[0][50, 58] == 0
    assert parts[0][50, 49:51].mean() == pytest.approx(0.5, abs=0.01)
    torch.testing.assert_close(parts[0] + parts[1], torch.ones(100, 120))
    # The photo made smaller: the same part of it.
    small = FaceCrop(crop_from_frame=np.diag([4.0, 4.0, 1.0]), size=64)
    half = OwnPart(Everybody(), neighbours_of(faces[0], faces, crop)).of_photo(
        torch.zeros(1, 3, 50, 60), small
    )
    assert half[0, 0, 25, 20] == 1
    assert half[0, 0, 25, 29] == 0


def test_heads_that_overlap_are_named():
    assert close_pairs([face(1, 20, 20), face(2, 60, 20), face(3, 88, 20)]) == [(2, 3)]
    assert close_pairs([face(1, 20, 20)]) == []


def test_pictures_are_joined_where_somebody_moves():
    photo = np.full((4, 6, 3), 100, np.uint8)
    left, right = photo.copy(), photo.copy()
    left[:, :3], right[:, 3:] = 10, 200
    (joined,) = together(photo, [[left], [right]])
    assert (joined[:, :3] == 10).all()
    assert (joined[:, 3:] == 200).all()
    right[:, 2] = 150  # both move here: the later one is in front
    left[:, 3], right[:, 3] = 20, 101  # only the rounding of the later one differs here
    (joined,) = together(photo, [[left], [right]])
    assert (joined[:, 2] == 150).all()
    assert (joined[:, 3] == 20).all()


@pytest.fixture(scope="module")
def reenactor(tmp_path_factory: pytest.TempPathFactory) -> Reenactor:
    weights = material.write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
    from reenact.inference.config import ReenactorConfig

    config = ReenactorConfig(carry_detail=True, x_T="source", precision="fp32")
    return Reenactor.load(weights, config=config, device="cpu")


@pytest.fixture(scope="module")
def group() -> np.ndarray:
    """The same person twice, 288 pixels wide."""
    with Image.open(asset_path("demo_source.png")) as picture:
        one = np.asarray(picture.convert("RGB").resize((144, 144)))
    return np.concatenate([one, one[:, ::-1]], 1)


def motion_of(source, num_frames: int, fps: int, **sliders: float) -> Motion:
    from reenact.face.control import posed

    motion = still_motion(source, posed(source.params, Sliders(**sliders)))
    many = motion[[0] * num_frames]
    timeline = constant_timeline(num_frames, Fraction(fps))
    return type(many)(tracked=many.tracked, timeline=timeline, size=many.size)


def test_one_moves_and_the_other_one_stands_still(reenactor: Reenactor, group: np.ndarray):
    sources = reenactor.find_all(group)
    assert [s.crop.points_to_frame(np.full(2, 16.0))[0] // 144 for s in sources] == [0, 1]
    turned = motion_of(sources[0], 1, 25, yaw=15, open_mouth=0.6)
    (alone,) = reenactor.animate_all(sources[:1], turned)
    changed = (np.abs(alone.astype(int) - group).max(-1) > 2).any(0)
    assert changed[:144].any()
    assert not changed[160:].any()
    still = motion_of(sources[1], 1, 25)
    (both,) = reenactor.animate_all(sources, [turned, still])
    assert np.abs(both.astype(int) - alone).max() <= 2
    (mirrored,) = reenactor.animate_all(sources, turned)
    assert (np.abs(mirrored.astype(int) - group).max(-1) > 2).any(0)[144:].any()


def test_each_face_has_its_own_target_and_the_longest_one_counts(reenactor, group):
    sources = reenactor.find_all(group, numbers=[2, 1])
    motions = [motion_of(sources[0], 2, 10), motion_of(sources[1], 8, 20, yaw=10)]
    assert len(list(reenactor.animate_all(sources, motions))) == 8
    short, long = at_common_times(motions)
    assert short.timeline == long.timeline == motions[1].timeline
    assert len(short) == 8
    with pytest.raises(UserError, match="2 faces and 3 targets: give one target for all faces"):
        reenactor.animate_all(sources, [*motions, motions[0]])
    with pytest.raises(UserError, match="compose: several faces need photo, got crop"):
        reenactor.animate_all(sources, motions, compose="crop")
    with pytest.raises(UserError, match="photo: face 3 was chosen, but the picture has 2"):
        reenactor.find_all(group, numbers=[1, 3])


def test_shorter_motions_hold_their_last_frame(reenactor, group):
    source = reenactor.find_all(group)[0]
    motion = motion_of(source, 3, 10)
    motion.tracked.params.rotation[:, 0] = torch.tensor([0.0, 0.1, 0.2])
    long = motion_of(source, 5, 10)
    held, _ = at_common_times([motion, long])
    yaw = held.tracked.params.rotation[:, 0]
    torch.testing.assert_close(yaw, torch.tensor([0.0, 0.1, 0.2, 0.2, 0.2]))
    picture, short = still_motion(source, source.params), motion_of(source, 1, 25)
    assert not any(motion.is_picture for motion in at_common_times([picture, short]))
    assert all(motion.is_picture for motion in at_common_times([picture, picture]))


def test_the_preview_shows_every_number(reenactor: Reenactor, group: np.ndarray):
    blank = np.zeros_like(group)
    found = first_faces(reenactor.face, [blank, group])
    assert found is not None
    number, frame, faces = found
    assert number == 1
    assert [one.number for one in faces] == [1, 2]
    drawn = with_numbers(frame, faces)
    assert drawn.shape == group.shape
    for one in faces:
        left, top, right, bottom = (round(v) for v in one.box)
        middle = (slice(top + 8, bottom - 8), slice(left + 8, right - 8))
        rows = slice(bottom - 3, bottom + 3)
        assert (drawn[rows, left:right] != frame[rows, left:right]).any((0, 2)).all(), "a line"
        assert (drawn[middle] == frame[middle]).mean() > 0.7, "the face itself stays visible"
    assert first_faces(reenactor.face, [blank]) is None


def test_a_group_keeps_its_transparency_or_its_background(reenactor, group):
    alpha = np.full(group.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    clear = np.dstack([group, alpha])
    sources = reenactor.find_all(clear)
    still = motion_of(sources[0], 1, 25)
    (result,) = reenactor.animate_all(sources, still, background="transparent")
    assert result.shape == clear.shape
    assert (result[:8, :, 3] == 0).all()
    assert (result[40:, :, 3] > 250).all()
    opaque = reenactor.find_all(group)
    with pytest.raises(UserError, match="background: several faces of an opaque photo"):
        reenactor.animate_all(opaque, still, background="#00ff00")
