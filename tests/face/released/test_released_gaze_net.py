from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffae import CheckpointError
from reenact.face.released.gaze_net import GazeNet

CLASSIFIER = {"gaze_network.fc.weight": (1000, 2048), "gaze_network.fc.bias": (1000,)}


@pytest.fixture(scope="module")
def tensors(fill_state: Callable[..., dict[str, Tensor]]) -> dict[str, Tensor]:
    with torch.device("meta"):
        net = GazeNet()
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    return fill_state(shapes | CLASSIFIER, "gaze:")


def test_gaze_equals_the_published_one(tensors, golden: Callable[[str], Any]):
    # both goldens were made from the same picture
    image = golden("emoca_encoder")["image_u8"].permute(2, 0, 1)[None].float() / 255
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    net = GazeNet.from_tensors(tensors)
    assert not net.training
    gaze = net((image - mean) / std)
    assert_close(gaze, golden("gaze_net")["gaze_pitch_yaw"], atol=1e-4, rtol=0)


def test_keys_are_the_published_ones(tensors, golden: Callable[[str], Any]):
    found = {name: list(tensor.shape) for name, tensor in tensors.items()}
    assert found == golden("keys.json")["gaze"]


@pytest.mark.parametrize("zipped", [False, True])
def test_file(tensors, tmp_path: Path, zipped: bool):
    path = tmp_path / "gaze_estimation_model.tar"
    content = {"epoch": 3, "model_state": tensors, "optimizer": {"state": {}}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    loaded = GazeNet.from_file(path).state_dict()
    assert tensors.keys() - loaded.keys() == CLASSIFIER.keys()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.items())


def test_missing_and_unexpected_tensors_are_named(tensors):
    changed = tensors | {"gaze_fc.1.weight": torch.zeros(1)}
    del changed["gaze_fc.0.bias"]
    with pytest.raises(CheckpointError) as raised:
        GazeNet.from_tensors(changed, "a.tar")
    assert str(raised.value) == (
        "a.tar: keys do not match: 1 missing (gaze_fc.0.bias); 1 unexpected (gaze_fc.1.weight)"
    )


def test_other_files_are_refused(tmp_path: Path):
    torch.save({"state_dict": {}}, tmp_path / "a.tar")
    with pytest.raises(CheckpointError, match="`model_state`"):
        GazeNet.from_file(tmp_path / "a.tar")
