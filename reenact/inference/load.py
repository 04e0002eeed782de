"""From settings to a reenactor: which weights, behind which face stack."""

import sys
from pathlib import Path
from typing import Any

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.device import pick_device
from reenact.face.open.stack import OpenFaceStack
from reenact.face.released.config import ReleasedConfig
from reenact.face.stack import FaceStack
from reenact.inference.config import ReenactorConfig, check_for_released
from reenact.inference.reenactor import Reenactor
from reenact.models.checkpoint import load_reenactor
from reenact.models.weights import Recipe


def make_reenactor(
    weights: Path | None, released: ReleasedConfig | None, config: ReenactorConfig, device: str
) -> Reenactor:
    """The reenactor with its weights on `device` ("auto" or a torch device).

    Without `released` it takes the open face stack, and the shipped weights if `weights` is None.
    With `released` it takes the authors' stack, and their weights if `weights` is None. A config
    that differs from the weights' recipe gives a warning on stderr. Raises UserError or
    CheckpointError.
    """
    place = pick_device(device)
    face: FaceStack[Any]
    if released is None:
        face = OpenFaceStack(place)
        networks = load_reenactor(weights or asset_path(EMBEDDED_WEIGHTS), place)
    else:
        check_for_released(config.recipe(Recipe()))
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
    recipe = config.recipe(networks.recipe or Recipe())
    if released is not None:
        check_for_released(recipe)
    if warning := _recipe_warning(networks.recipe, config):
        print(f"warning: {warning}", file=sys.stderr)
    return Reenactor(networks, face, config)


def _recipe_warning(trained: Recipe | None, config: ReenactorConfig) -> str | None:
    """A line if the pictures are rendered in another way than the weights were trained for."""
    if trained is None:
        missing = config.left_out
        if not missing:
            return None
        defaults = ", ".join(f"{name} {getattr(Recipe(), name)}" for name in missing)
        return (
            f"the weights do not say how to render with them; the paper's way is taken: {defaults}"
        )
    if changes := config.changes(trained):
        return f"the weights were trained to be rendered otherwise: {'; '.join(changes)}"
    return None
