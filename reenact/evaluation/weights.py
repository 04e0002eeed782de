"""The reenactor of a run, and the sha256 of the file that its weights come from."""

import hashlib
from pathlib import Path

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.evaluation.run_config import EvalRun
from reenact.files import check_input_file
from reenact.inference.reenactor import Reenactor


def load_weights(run: EvalRun, device: str) -> tuple[Reenactor, str]:
    """Raises UserError or CheckpointError for missing or foreign files."""
    if run.weights is not None:
        path = check_input_file(run.weights)
    elif run.released is not None:
        from reenact.face.released.files import locate

        path = locate(run.released.files).diffusionact
    else:
        path = asset_path(EMBEDDED_WEIGHTS)
    # Brings the networks along, which the rest of this room works without.
    from reenact.inference.load import load_reenactor_of
    from reenact.inference.run_config import InferRun

    # Only the weights, the face stack and the reenactor of an inference run matter here.
    chain = InferRun(
        weights=run.weights,
        output_size=256,
        compose="crop",
        paste_max_side=256,
        motion="absolute",
        released=run.released,
        reenactor=run.reenactor,
    )
    return load_reenactor_of(chain, device), sha256_of(path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
