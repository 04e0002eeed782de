import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reenact.errors import UserError
from reenact.evaluation import metrics
from reenact.evaluation.reading import measure_faces
from reenact.evaluation.stack_reader import StackReader
from reenact.evaluation.tracker_reader import TrackerReader
from reenact.face.open.stack import OpenFaceStack
from reenact.face.params import FaceParams
from reenact.face.released.params import FlameParams
from reenact.media.images import image_from_frame


@pytest.fixture(scope="module")
def reader() -> TrackerReader:
    return TrackerReader()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """A face, the same face mirrored, a grey picture, and the face turned by 15 degrees."""
    data = pytest.importorskip("skimage.data")
    frame = np.ascontiguousarray(data.astronaut()[30:222, 128:320])
    face = image_from_frame(frame)
    turned = Image.fromarray(frame).rotate(15, Image.Resampling.BICUBIC)  # anticlockwise
    other = image_from_frame(np.asarray(turned))
    return torch.cat([face, face.flip(3), torch.zeros_like(face), other])


def test_mirroring_and_turning_the_picture(reader, images):
    reading = reader.read(images)
    assert reading.found.tolist() == [True, True, False, True]
    signs = torch.tensor([-1.0, 1.0, -1.0])
    assert metrics.apd(reading.rotation[:1] * signs, reading.rotation[1:2]).item() < 3
    change = torch.rad2deg(reading.rotation[3] - reading.rotation[0])
    assert change[2].item() == pytest.approx(15, abs=2)
    assert change[:2].abs().max() < 5
    same_person = metrics.csim(reading.identity[[0, 0]], reading.identity[[1, 3]])
    assert same_person.min() > 0.7
    nose = reading.landmarks[:2, 30]
    assert abs(nose[0, 0] + nose[1, 0] - images.shape[-1]) < 3


def test_a_picture_against_itself_is_perfect_and_a_lost_face_is_none(reader, images):
    reading = reader.read(images[[0, 2]])
    same, lost = measure_faces(reading, reading[[0, 0]], reading[[0, 0]])
    assert same["found"]
    assert same["csim"] == pytest.approx(1)
    for name in ("apd", "aed", "gaze_error", "nme"):
        assert same[name] == pytest.approx(0, abs=1e-5)
    assert lost == dict.fromkeys(lost, None) | {"found": False}


def test_tracked_params_fall_back_where_no_face_is_seen(images):
    reader = StackReader(OpenFaceStack())
    params = reader.params(images[[0, 2]], FaceParams.neutral(2))
    assert isinstance(params, FaceParams)
    assert params.scale[0] > 10
    assert params.scale[1] == 1
    widths = {"shape": 100, "expression": 50, "pose": 6, "cam": 3, "gaze": 2}
    flame = FlameParams(**{name: torch.zeros(2, width) for name, width in widths.items()})
    assert reader.params(images[[0]], flame[:1]).scale[0] > 10
    with pytest.raises(UserError, match="no face found in a crop"):
        reader.params(images[[0, 2]], flame)
