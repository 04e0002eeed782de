"""The part of the authors' stack that draws needs FLAME only."""

import pytest
import torch

from reenact.errors import UserError
from reenact.face.factory import STACKS, FaceConfig, make_face_model, make_face_stack
from reenact.face.released.config import ReleasedConfig
from reenact.face.released.files import ReleasedFiles

CPU = torch.device("cpu")


def test_drawing_reads_the_emoca_file_alone(tmp_path, flame_tensors, released_faces):
    """It holds FLAME. Neither its encoders nor any other file need to be there."""
    state = {f"deca.flame.{name}": tensor for name, tensor in flame_tensors.items()}
    torch.save({"state_dict": state}, tmp_path / "emoca.ckpt")
    files = ReleasedFiles(folder=tmp_path, emoca=tmp_path / "emoca.ckpt")
    config = FaceConfig(released=ReleasedConfig(files=files))
    stack, faces = released_faces
    model = make_face_model(config, CPU)
    driven = model.retarget(faces["source"], faces["target"])
    drawn = model.landmark_map(driven, 256)
    assert drawn.std() > 0.01
    assert torch.equal(drawn, stack.landmark_map(driven, 256))
    with pytest.raises(UserError, match="4 files are missing"):
        make_face_stack(config, CPU)


def test_what_the_entry_denies_is_refused(released_faces):
    entry, (stack, faces) = STACKS["released"], released_faces
    source, target = faces["source"], faces["target"]
    assert not any((entry.has_places, entry.has_surface, entry.has_motion_vector))
    assert entry.size == 256
    with pytest.raises(UserError, match="x_T"):
        stack.motion_field(source, target, 256, 256)
    with pytest.raises(UserError, match="motion head"):
        stack.motion_vector(source, target, 256)
    with pytest.raises(AssertionError):
        stack.landmarks(source)
