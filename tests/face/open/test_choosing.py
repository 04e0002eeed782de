"""A picture with three faces: a large one at the left, two small ones at the right."""

import numpy as np
import pytest
from PIL import Image

from reenact.assets import asset_path
from reenact.errors import UserError
from reenact.face.open.stack import OpenFaceStack
from reenact.media.images import read_frame


@pytest.fixture(scope="module")
def stack() -> OpenFaceStack:
    return OpenFaceStack()


@pytest.fixture(scope="module")
def woman() -> np.ndarray:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    return np.ascontiguousarray(astronaut[:300, 74:374, :3])


@pytest.fixture(scope="module")
def group(woman) -> np.ndarray:
    demo = read_frame(asset_path("demo_source.png"))
    frame = np.full((320, 640, 3), 120, np.uint8)
    frame[:, :320] = demo
    for picture, x, y in ((woman, 340, 150), (demo, 480, 20)):
        small = Image.fromarray(picture).resize((140, 140), Image.Resampling.BOX)
        frame[y : y + 140, x : x + 140] = np.asarray(small)
    return frame


PLACES = [(0, 320), (340, 480), (480, 620)]
"""Left and right end of each face's picture."""


def inside(x: float) -> int:
    return next(k for k, (left, right) in enumerate(PLACES) if left < x < right)


def test_all_faces_are_listed_from_left_to_right(stack, group):
    faces = stack.faces(group)
    assert [face.number for face in faces] == [1, 2, 3]
    assert [inside((face.box[0] + face.box[2]) / 2) for face in faces] == [0, 1, 2]
    for face in faces:
        left, top, right, bottom = face.box
        assert 0 < right - left < 1.3 * (bottom - top)
    assert stack.faces(np.full((64, 64, 3), 90, np.uint8)) == []


@pytest.mark.parametrize(
    ("which", "place"), [("largest", 0), ("leftmost", 0), ("rightmost", 2), ("topmost", 2), (2, 1)]
)
def test_one_is_chosen_by_size_place_or_number(stack, group, which, place):
    landmarks = stack.track_image(group, which).landmarks[0]
    assert inside(landmarks[:, 0].mean()) == place


def test_the_person_of_a_reference_picture_is_found(stack, group, woman):
    face = stack.source_face(group, 64, which=woman)
    centre = face.crop.points_to_frame(np.array([32.0, 32.0]))
    assert inside(centre[0]) == 1
    alone = np.ascontiguousarray(group[:, :320])
    assert stack.source_face(alone, 64, which=woman) is None
    frames = [alone, alone, alone]
    frames = [np.pad(frame, ((0, 0), (0, 320), (0, 0))) for frame in frames] + [group, group]
    motion = stack.target_motion(frames, 25.0, 64, which=woman)
    assert motion.found.tolist() == [False, False, False, True, True]
    centre = motion.crops[-1].points_to_frame(np.array([32.0, 32.0]))
    assert inside(centre[0]) == 1
    assert stack.target_motion(frames[:2], 25.0, 64, which=woman) is None


def test_choices_that_cannot_be_met_are_refused(stack, group):
    with pytest.raises(UserError, match=r"face 4 was chosen, .* has 3 faces, .*: choose 1 to 3"):
        stack.source_face(group, 64, which=4)
    with pytest.raises(UserError, match="'best': choose largest, leftmost"):
        stack.source_face(group, 64, which="best")
    with pytest.raises(UserError, match="shows no face"):
        stack.source_face(group, 64, which=np.full((64, 64, 3), 90, np.uint8))
    assert stack.source_face(np.full((64, 64, 3), 90, np.uint8), 64, which=2) is None


def test_what_looks_like_a_face_for_a_moment_is_none(stack):
    """In this collar the landmark net sees faces, until it looks at where they should be."""
    astronaut = pytest.importorskip("skimage.data").astronaut()
    frame = np.zeros((480, 960, 3), np.uint8)
    frame[60:, :520] = np.asarray(Image.fromarray(astronaut[:360, 60:420]).resize((520, 520)))[:420]
    (face,) = stack.faces(frame)
    assert face.box == pytest.approx((172, 162, 304, 318), abs=8)
