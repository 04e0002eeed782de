"""The factory: which stack a config names, what each stack can do, and how little drawing loads."""

import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from reenact.errors import UserError
from reenact.face.factory import STACKS, FaceConfig, make_face_model
from reenact.face.params import FaceParams, motion_vector
from reenact.face.released.config import ReleasedConfig
from reenact.face.released.files import ReleasedFiles

CPU = torch.device("cpu")
DRAW = """
import sys
import torch
from reenact.face.factory import FaceConfig
from reenact.face.params import FaceParams
from reenact.training.drawer import Drawer

draw = Drawer(FaceConfig(), 64, torch.device("cpu"), has_motion=True)
faces = FaceParams.neutral(2).tensors()
batch = {f"{role}_{name}": value for role in ("source", "target") for name, value in faces.items()}
batch["source_scale"] = batch["target_scale"] = torch.full((2,), 20.0)
assert draw.target(batch).shape == (2, 3, 64, 64)
assert draw.motion(batch).shape == (2, 120)
assert draw.source_landmarks(batch).shape == (2, 68, 2)
print(*sys.modules)
"""


def test_drawing_loads_no_network_that_reads_pictures():
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("reenact.face.")}
    assert {"reenact.face.open.model", "reenact.face.head_model"} <= loaded
    readers = ("tracker", "detector", "mesh_net", "fitting", "stack")
    assert not loaded & {f"reenact.face.open.{name}" for name in readers}
    assert not {n for n in loaded if n.startswith("reenact.face.released.")} - {
        f"reenact.face.released.{name}" for name in ("entry", "config", "files", "params", "flame")
    }


def test_a_config_names_its_stack():
    plain = FaceConfig()
    assert (plain.name, plain.section, plain.entry) == ("open", None, STACKS["open"])
    section = ReleasedConfig(files=ReleasedFiles())
    other = FaceConfig(released=section)
    assert (other.name, other.section, other.entry) == ("released", section, STACKS["released"])


@dataclass(frozen=True, kw_only=True)
class MoreStacks(FaceConfig):
    other: ReleasedConfig | None = None


def test_two_stacks_in_one_config_are_a_user_error():
    section = ReleasedConfig(files=ReleasedFiles())
    assert MoreStacks(other=section).name == "other"
    with pytest.raises(UserError, match="released and other are given, keep one"):
        MoreStacks(other=section, released=section)


def test_the_open_stack_can_do_what_its_entry_says():
    entry = STACKS["open"]
    assert entry.has_places
    assert entry.has_surface
    assert entry.has_motion_vector
    face = make_face_model(FaceConfig(), CPU)
    params = FaceParams(**(FaceParams.neutral(2).tensors() | {"scale": torch.tensor([9.0, 11.0])}))
    assert face.landmarks(params).shape == (2, 68, 2)
    assert face.outline(params).shape == (2, 36, 2)
    assert torch.equal(
        face.motion_vector(params[0], params, 64), motion_vector(params[0], params, 64)
    )
    assert face.motion_field(params[0], params, 64, 32).grid.shape == (2, 32, 32, 2)


def test_head_angles_are_the_params_own():
    angles = torch.deg2rad(torch.tensor([[20.0, -5.0, 30.0]]))
    face = FaceParams(**(FaceParams.neutral().tensors() | {"rotation": angles}))
    torch.testing.assert_close(face.head_angles_deg(), torch.rad2deg(angles))


def test_a_missing_head_model_is_one_line(tmp_path):
    files = ReleasedFiles(folder=tmp_path)
    with pytest.raises(UserError, match=r"1 file is missing.*EMOCA") as error:
        make_face_model(FaceConfig(released=ReleasedConfig(files=files)), CPU)
    assert "\n" not in str(error.value)
    assert "gaze" not in str(error.value)
