"""From a run's settings to a reenactor: which weights, behind which face stack."""

from typing import Any

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.device import pick_device
from reenact.face.open_stack import OpenFaceStack
from reenact.face.stack import FaceStack
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.models.checkpoint import load_reenactor


def load_reenactor_of(run: InferRun, device: str) -> Reenactor:
    """The reenactor with its weights on `device` ("auto" or a torch device).

    Raises UserError or CheckpointError.
    """
    place = pick_device(device)
    face: FaceStack[Any]
    if run.released is None:
        face = OpenFaceStack(place)
        weights = load_reenactor(run.weights or asset_path(EMBEDDED_WEIGHTS), place)
    else:
        # Imported late: these networks need torchvision and the face-alignment package.
        from reenact.face.released.files import locate
        from reenact.face.released.stack import ReleasedFaceStack
        from reenact.models.released import load_released

        files = locate(run.released.files)
        face = ReleasedFaceStack.from_files(files, run.released, place)
        if run.weights is None:
            weights = load_released(files.diffusionact, files.diffae, place)
        else:
            weights = load_reenactor(run.weights, place)
    return Reenactor(weights, face, run.reenactor)
