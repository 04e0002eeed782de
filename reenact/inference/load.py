"""From settings to a reenactor: which weights, behind which face stack."""

from pathlib import Path

from reenact.device import pick_device
from reenact.errors import UserError
from reenact.face.factory import FaceConfig, make_face_stack, own_weights
from reenact.face.stack import OwnWeights
from reenact.inference.reenactor import Reenactor, ReenactorConfig
from reenact.models.checkpoint import load_reenactor


def make_reenactor(
    weights: Path | None, face: FaceConfig, config: ReenactorConfig, device: str
) -> Reenactor:
    """The reenactor with its weights on `device` ("auto" or a torch device).

    `weights` None takes those that were trained with the face stack. Raises UserError or
    CheckpointError for missing or foreign files, and for settings or weights that need more than
    the face stack can do.
    """
    place = pick_device(device)
    if config.needs_motion_field and not face.entry.has_surface:
        raise UserError(
            "reenactor: x_T moved and carry_detail follow the surface of the head model, which the "
            f"{face.name} face stack does not have: set x_T to source and carry_detail to false"
        )
    path, diffae = own_weights(face) if weights is None else OwnWeights(weights)
    stack = make_face_stack(face, place)
    networks = load_reenactor(path, place, diffae)
    if networks.encoder.motion_head is not None and not face.entry.has_motion_vector:
        raise UserError(
            f"{path}: its E_r has a motion head, which the {face.name} face stack cannot feed: "
            "take weights that were trained with that stack"
        )
    return Reenactor(networks, stack, config)
