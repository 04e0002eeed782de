"""From settings to networks: which weights, behind which face stack."""

from pathlib import Path
from typing import Any

from reenact.device import pick_device
from reenact.errors import UserError, warn
from reenact.face.factory import FaceConfig, make_face_stack, own_weights
from reenact.face.stack import FaceStack, OwnWeights
from reenact.inference.config import ReenactorConfig
from reenact.inference.start import find_start
from reenact.models.checkpoint import load_reenactor
from reenact.models.weights import Recipe, ReenactorWeights


def load_parts(
    weights: Path | None, face: FaceConfig, config: ReenactorConfig, device: str
) -> tuple[ReenactorWeights, FaceStack[Any]]:
    """The networks of a reenactor and its face stack, on `device` ("auto" or a torch device).

    `weights` None takes those that were trained with the face stack. A config that differs from
    the weights' recipe gives a warning on stderr. Raises UserError or CheckpointError for missing
    or foreign files, and for settings or weights that need more than the face stack can do.
    """
    place = pick_device(device)
    _check_surface(config.recipe(Recipe()), face)
    path, diffae = own_weights(face) if weights is None else OwnWeights(weights)
    stack = make_face_stack(face, place)
    networks = load_reenactor(path, place, diffae)
    if networks.encoder.motion_head is not None and not face.entry.has_motion_vector:
        raise UserError(
            f"{path}: its E_r has a motion head, which the {face.name} face stack cannot feed: "
            "take weights that were trained with that stack"
        )
    _check_surface(config.recipe(networks.recipe or Recipe()), face)
    if warning := _recipe_warning(networks.recipe, config):
        warn(f"{path}: {warning}")
    return networks, stack


def _check_surface(recipe: Recipe, face: FaceConfig) -> None:
    """Raises UserError if the recipe needs the head model's surface and the stack has none."""
    if face.entry.has_surface:
        return
    if find_start(recipe.x_T).follows_motion or recipe.carry_detail:
        raise UserError(
            "reenactor: x_T moved and carry_detail follow the surface of the head model, which the "
            f"{face.name} face stack does not have: set x_T to source and carry_detail to false"
        )


def _recipe_warning(trained: Recipe | None, config: ReenactorConfig) -> str | None:
    """A line if the pictures are rendered in another way than the weights were trained for."""
    if trained is None:
        missing = config.left_out
        if not missing:
            return None
        values = ", ".join(f"{name} {getattr(Recipe(), name)}" for name in missing)
        return f"the file does not say how to render with it; the paper's way is taken: {values}"
    if changes := config.changes(trained):
        return f"trained to be rendered otherwise: {'; '.join(changes)}"
    return None
