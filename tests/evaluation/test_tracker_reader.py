import numpy as np
import pytest
import torch
from torch import Tensor

from reenact.evaluation import metrics
from reenact.evaluation.reading import measure_faces
from reenact.evaluation.tracker_reader import TrackerReader
from reenact.face.params import FaceParams
from reenact.images import image_from_frame


@pytest.fixture(scope="module")
def reader() -> TrackerReader:
    return TrackerReader()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """A face, the same face mirrored, and a grey picture."""
    data = pytest.importorskip("skimage.data")
    frame = np.ascontiguousarray(data.astronaut()[30:222, 128:320])
    face = image_from_frame(frame)
    return torch.cat([face, face.flip(3), torch.zeros_like(face)])


def test_mirroring_turns_yaw_and_roll_and_keeps_the_person(reader, images):
    reading = reader.read(images)
    assert reading.found.tolist() == [True, True, False]
    signs = torch.tensor([-1.0, 1.0, -1.0])
    mirrored = reading.rotation[:1] * signs
    assert metrics.apd(mirrored, reading.rotation[1:2]).item() < 3
    assert metrics.apd(reading.rotation[:1], reading.rotation[1:2]).item() > 3
    assert metrics.csim(reading.identity[:1], reading.identity[1:2]).item() > 0.7
    width = images.shape[-1]
    nose = reading.landmarks[:2, 30]
    assert abs(nose[0, 0] + nose[1, 0] - width) < 3


def test_a_picture_against_itself_is_perfect_and_a_lost_face_is_none(reader, images):
    reading = reader.read(images[[0, 2]])
    same, lost = measure_faces(reading, reading[[0, 0]], reading[[0, 0]])
    assert same["found"]
    assert same["csim"] == pytest.approx(1)
    for name in ("apd", "aed", "gaze_error", "nme"):
        assert same[name] == pytest.approx(0, abs=1e-5)
    assert lost == dict.fromkeys(lost, None) | {"found": False}


def test_tracked_params_fall_back_where_no_face_is_seen(reader, images):
    params = reader.params(images[[0, 2]], FaceParams.neutral(2))
    assert params.scale[0] > 10
    assert params.scale[1] == 1
