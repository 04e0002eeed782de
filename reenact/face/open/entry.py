"""What the factory knows of the open face stack."""

from __future__ import annotations

import torch

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.face.params import FaceParams
from reenact.face.stack import FaceModel, FaceStack, OwnWeights, StackEntry


def _load_model(config: None, device: torch.device) -> FaceModel[FaceParams]:
    from reenact.face.open.model import OpenFaceModel

    return OpenFaceModel(device)


def _load_stack(config: None, device: torch.device) -> FaceStack[FaceParams]:
    from reenact.face.open.stack import OpenFaceStack

    return OpenFaceStack(device)


ENTRY = StackEntry(
    params=FaceParams,
    load_model=_load_model,
    load_stack=_load_stack,
    weights=lambda config: OwnWeights(asset_path(EMBEDDED_WEIGHTS)),
    size=None,
    has_places=True,
    has_surface=True,
    has_motion_vector=True,
)
