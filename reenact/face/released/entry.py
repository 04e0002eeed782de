"""What the factory knows of the authors' face stack."""

from __future__ import annotations

import torch

from reenact.face.released.config import ReleasedConfig
from reenact.face.released.files import locate, locate_emoca
from reenact.face.released.params import FlameParams
from reenact.face.stack import FaceModel, FaceStack, OwnWeights, StackEntry


def _load_model(config: ReleasedConfig, device: torch.device) -> FaceModel[FlameParams]:
    """Needs only the EMOCA checkpoint, which holds FLAME."""
    from reenact.face.released.emoca import load_flame
    from reenact.face.released.model import ReleasedFaceModel

    return ReleasedFaceModel(load_flame(locate_emoca(config.files)), device)


def _load_stack(config: ReleasedConfig, device: torch.device) -> FaceStack[FlameParams]:
    # These networks need torchvision and the face-alignment package.
    from reenact.face.released.stack import ReleasedFaceStack

    return ReleasedFaceStack.from_files(locate(config.files), config, device)


def _weights(config: ReleasedConfig) -> OwnWeights:
    files = locate(config.files)
    return OwnWeights(files.diffusionact, files.diffae)


ENTRY = StackEntry(
    params=FlameParams,
    load_model=_load_model,
    load_stack=_load_stack,
    weights=_weights,
    size=256,
    has_places=False,
    has_surface=False,
    has_motion_vector=False,
)
