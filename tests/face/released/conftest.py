"""Weights by rule and golden numbers of the released pipeline."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reenact.face.released.config import ReleasedConfig
from reenact.face.released.emoca import Emoca
from reenact.face.released.files import ReleasedFiles
from reenact.face.released.flame import Flame
from reenact.face.released.gaze_net import GazeNet
from reenact.face.released.landmarks import Landmarks
from reenact.face.released.params import FlameParams
from reenact.face.released.stack import ReleasedFaceStack
from tests import released_rules


@pytest.fixture(scope="session")
def noise() -> Callable[..., Tensor]:
    """`noise(key, shape)`: normal numbers seeded by the name (for rules other than `fill`)."""
    return released_rules.noise


@pytest.fixture(scope="session")
def fill() -> Callable[..., Tensor]:
    """`fill(key, shape)`: the rule for one parameter."""
    return released_rules.fill


@pytest.fixture(scope="session")
def fill_state() -> Callable[..., dict[str, Tensor]]:
    """`fill_state(module or {key: shape}, prefix)`: the rule for a whole network."""
    return released_rules.fill_state


@pytest.fixture(scope="session")
def golden() -> Callable[..., Any]:
    """`golden("flame")`, `golden("e2e", whole=True)`, `golden("keys.json")`; skips when the file is
    nowhere.
    """
    return released_rules.golden


def _normalised(value: Tensor) -> Tensor:
    return (value.double() / value.double().sum(-1, keepdim=True)).float()


@pytest.fixture(scope="session")
def flame_tensors() -> dict[str, Tensor]:
    """The buffers of a FLAME that is no face, by the rule of the golden numbers."""
    vertices, faces, draw = 5023, 9976, released_rules.noise
    shapedirs = 0.002 * draw("flame.shapedirs", (vertices, 3, 400))
    static, dynamic = (51, 3), (79, 17, 3)
    count = torch.arange(faces)
    corners = [count % vertices, (7 * count + 1) % vertices, (13 * count + 2) % vertices]
    return {
        "v_template": draw("flame.v_template", (vertices, 3)) * torch.tensor([0.05, 0.07, 0.05]),
        "shapedirs": torch.cat([shapedirs[..., :100], shapedirs[..., 300:350]], -1),
        "posedirs": (0.001 * draw("flame.posedirs", (vertices, 3, 36))).flatten(0, 1).mT,
        "J_regressor": _normalised(draw("flame.J_regressor", (5, vertices)).abs().double() ** 4),
        "parents": torch.tensor([-1, 0, 1, 1, 1]),
        "lbs_weights": (2 * draw("flame.weights", (vertices, 5))).double().softmax(1).float(),
        "faces_tensor": torch.stack(corners, 1),
        "eye_pose": torch.zeros(1, 6),
        "neck_pose": torch.zeros(1, 3),
        "lmk_faces_idx": (191 * torch.arange(51) + 7) % faces,
        "lmk_bary_coords": _normalised(draw("flame.static_lmk_bary_coords", static).abs()),
        "dynamic_lmk_faces_idx": ((37 * torch.arange(79 * 17) + 11) % faces).view(79, 17),
        "dynamic_lmk_bary_coords": _normalised(
            draw("flame.dynamic_lmk_bary_coords", dynamic).abs()
        ),
    }


class _KnownPoints(nn.Module):
    """A detector that gives the same landmarks (68, 2) to every picture."""

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        self.points = points

    def detect(self, images: Tensor, previous: Tensor | None = None) -> Landmarks:
        ones = torch.ones(len(images))
        points = self.points.expand(len(images), -1, -1)
        boxes = torch.cat([points.amin(1), points.amax(1)], 1)
        return Landmarks(points=points, found=ones > 0, boxes=boxes)


@pytest.fixture(scope="session")
def released_faces(
    golden: Callable[..., Any], fill: Callable[..., Tensor], flame_tensors: dict[str, Tensor]
) -> tuple[ReleasedFaceStack, dict[str, FlameParams]]:
    """A stack whose networks follow the rules of the golden file `pipeline`, and what it reads from
    the aligned `source` and `target` there.
    """
    numbers, keys = golden("pipeline"), golden("keys.json")
    tensors = {key: fill(key, shape) for key, shape in keys["emoca"].items()}
    tensors["deca.E_flame.layers.2.bias"][206:209] = torch.tensor([7.0, 0.01, -0.01])
    tensors["deca.E_flame.layers.2.weight"][200:209] *= 0.3
    gaze = {key: fill("gaze:" + key, shape) for key, shape in keys["gaze"].items()}
    face = ReleasedFaceStack(
        _KnownPoints(torch.zeros(68, 2)),
        Emoca.from_tensors(tensors),
        Flame.from_tensors(flame_tensors),
        GazeNet.from_tensors(gaze),
        ReleasedConfig(files=ReleasedFiles()),
        torch.device("cpu"),
    )
    faces = {}
    for role in ("source", "target"):
        face.detector.points = numbers[f"{role}_landmarks"][0]
        first = face.detector.points.numpy()[None] + 0.5
        faces[role] = face.read_aligned(numbers[f"{role}_u8"].numpy()[None], first)
    return face, faces
