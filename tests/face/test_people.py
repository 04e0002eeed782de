import numpy as np
import pytest
import torch
from PIL import Image

from reenact.assets import asset_path
from reenact.face.identity import IdentityNet
from reenact.face.open.tracker import FaceTracker
from reenact.face.people import People, TrackRecogniser
from reenact.face.points import landmarks_from_points


def unit(*values: float) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(values), dim=0)


def test_people_are_told_apart_by_their_nearest_sight():
    people = People()
    people.add(0, unit(1.0, 0.0, 0.0))
    people.add(1, unit(0.0, 1.0, 0.0))
    assert people.who(unit(0.9, 0.5, 0.0), among=[0, 1]) == 0
    assert people.who(unit(0.9, 0.5, 0.0), among=[1]) == 1
    assert people.who(unit(0.0, 0.3, 0.9), among=[0, 1]) is None
    assert people.who(unit(1.0, 0.0, 0.0), among=[]) is None
    people.add(1, unit(0.0, 0.5, 0.9))
    assert people.who(unit(0.0, 0.3, 0.9), among=[0, 1]) == 1


def test_the_first_sight_is_kept_for_good():
    people = People()
    people.add(0, unit(1.0, 0.0))
    for _ in range(3 * People.NUM_CODES):
        people.add(0, unit(0.0, 1.0))
    assert people.who(unit(1.0, 0.0), among=[0]) == 0


def test_a_track_that_changes_the_person_is_noticed():
    """A NASA photo and the demo photo, as two shots and with a gap."""
    astronaut = pytest.importorskip("skimage.data").astronaut()[:320, 64:384, :3]
    demo = np.asarray(Image.open(asset_path("demo_source.png")).convert("RGB"))
    tracker = FaceTracker()
    frames = {"a": np.ascontiguousarray(astronaut), "d": demo}
    points = {
        name: landmarks_from_points(tracker.track_images(tracker.images(frame)).points)[0].numpy()
        for name, frame in frames.items()
    }
    recogniser = TrackRecogniser(IdentityNet())
    seen = [
        recogniser.update(frames[name], points[name] if there else None)
        for name, there in (("a", 1), ("a", 1), ("d", 1), ("d", 0), ("d", 1), ("a", 1))
    ]
    assert seen == [(0, 0), (0, 0), (1, 1), (-1, 1), (1, 1), (0, 2)]
