"""From settings to a reenactor: which weights, behind which face stack."""

from pathlib import Path
from typing import Any

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.device import pick_device
from reenact.errors import UserError
from reenact.face.open.stack import OpenFaceStack
from reenact.face.released.config import ReleasedConfig
from reenact.face.stack import FaceStack
from reenact.inference.reenactor import Reenactor, ReenactorConfig
from reenact.models.checkpoint import load_reenactor


def make_reenactor(
    weights: Path | None, released: ReleasedConfig | None, config: ReenactorConfig, device: str
) -> Reenactor:
    """The reenactor with its weights on `device` ("auto" or a torch device).

    Without `released` the open face stack, and the shipped weights where `weights` is None; with it
    the authors' stack, and theirs. Raises UserError or CheckpointError.
    """
    place = pick_device(device)
    face: FaceStack[Any]
    if released is None:
        face = OpenFaceStack(place)
        networks = load_reenactor(weights or asset_path(EMBEDDED_WEIGHTS), place)
    else:
        if config.needs_motion_field:
            raise UserError(
                "reenactor: x_T moved and carry_detail follow the open head model's surface; with "
                "`released` set x_T to source and carry_detail to false"
            )
        # Imported late: these networks need torchvision and the face-alignment package.
        from reenact.face.released.files import locate
        from reenact.face.released.stack import ReleasedFaceStack
        from reenact.models.released import load_released

        files = locate(released.files)
        face = ReleasedFaceStack.from_files(files, released, place)
        if weights is None:
            networks = load_released(files.diffusionact, files.diffae, place)
        else:
            networks = load_reenactor(weights, place)
    return Reenactor(networks, face, config)
