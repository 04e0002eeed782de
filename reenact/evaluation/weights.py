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
    from reenact.inference.load import make_reenactor

    reenactor = make_reenactor(run.weights, run.released, run.reenactor, device)
    return reenactor, sha256_of(path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
