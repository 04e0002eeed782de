"""The reenactor of a run, and the sha256 of the file that its weights come from."""

import hashlib
from pathlib import Path

from reenact.evaluation.run_config import EvalRun
from reenact.face.factory import own_weights
from reenact.files import check_input_file
from reenact.inference.reenactor import Reenactor


def load_weights(run: EvalRun, device: str) -> tuple[Reenactor, str]:
    """Raises UserError or CheckpointError for missing or foreign files."""
    path = own_weights(run.face).path if run.weights is None else check_input_file(run.weights)
    # Brings the networks along, which the rest of this room works without.
    from reenact.inference.load import make_reenactor

    reenactor = make_reenactor(run.weights, run.face, run.reenactor, device)
    return reenactor, sha256_of(path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
