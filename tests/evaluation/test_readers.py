import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reenact.errors import UserError
from reenact.evaluation.measuring import formulas
from reenact.evaluation.measuring.comparison import Comparison
from reenact.evaluation.measuring.measure import readings
from reenact.evaluation.measuring.metrics import PAIR_METRICS
from reenact.evaluation.measuring.pooled import TRACES
from reenact.evaluation.mediapipe_tracker import MediaPipeTracker
from reenact.evaluation.methods.batches import REGIONS
from reenact.evaluation.readers import StackReader, TrackerReader
from reenact.face.open.stack import OpenFaceStack
from reenact.face.params import FaceParams
from reenact.face.released.params import FlameParams
from reenact.media.images import image_from_frame


class NoDistance:
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.zeros(len(a))


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
    assert formulas.apd(reading.rotation[:1] * signs, reading.rotation[1:2]).item() < 3
    change = torch.rad2deg(reading.rotation[3] - reading.rotation[0])
    assert change[2].item() == pytest.approx(15, abs=2)
    assert change[:2].abs().max() < 5
    same_person = formulas.csim(reading.identity[[0, 0]], reading.identity[[1, 3]])
    assert same_person.min() > 0.7
    nose = reading.landmarks[:2, 30]
    assert abs(nose[0, 0] + nose[1, 0] - images.shape[-1]) < 3


def test_a_picture_against_itself_is_perfect_and_a_lost_face_is_none(reader, images):
    reading = reader.read(images[[0, 2]])
    comparison = Comparison(
        prediction=images[[0, 2]],
        reference=images[[0, 2]],
        face=reading,
        reference_face=reading[[0, 0]],
        source_face=reading[[0, 0]],
        effnet=NoDistance(),
        lpips=None,
        regions=torch.zeros(2, len(REGIONS), *images.shape[-2:]),
    )
    same, lost = readings(comparison, [True, True])
    assert same["found"]
    assert same["csim"] == pytest.approx(1)
    for name in ("apd", "aed", "gaze_error", "nme"):
        assert same[name] == pytest.approx(0, abs=1e-5)
    unknown = [name for name, value in lost.items() if value is None]
    regions = [metric.name for metric in PAIR_METRICS if metric.region]
    assert unknown == ["lpips", "csim", "apd", "aed", "gaze_error", "nme", *regions, *TRACES]
    assert not lost["found"]
    assert lost["l1"] == 0


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


def test_the_mediapipe_runtime_reads_nearly_the_same(reader, images):
    """Set MEDIAPIPE_TASK to face_landmarker_v2.task to run it."""
    pytest.importorskip("mediapipe")
    path = os.environ.get("MEDIAPIPE_TASK")
    if path is None:
        pytest.skip("needs MEDIAPIPE_TASK, the path of face_landmarker_v2.task")
    own, other = (
        reader.read(images),
        TrackerReader(tracker=MediaPipeTracker(Path(path))).read(images),
    )
    assert torch.equal(own.found, other.found)
    rows = own.found.nonzero()[:, 0].tolist()
    own, other = own[rows], other[rows]
    assert formulas.apd(own.rotation, other.rotation).max() < 2
    assert torch.rad2deg(own.gaze - other.gaze).abs().max() < 3
    assert (own.landmarks - other.landmarks).abs().mean() < 0.5
    assert (own.expression - other.expression).abs().mean() < 0.03
    assert formulas.csim(own.identity, other.identity).min() > 0.95


def test_what_mediapipe_needs_is_said_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such file"):
        MediaPipeTracker(tmp_path / "face_landmarker_v2.task")
    path = tmp_path / "face_landmarker_v2.task"
    path.write_bytes(b"no model")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match=r"judges\.mediapipe: the package mediapipe does not load"):
        MediaPipeTracker(path)
