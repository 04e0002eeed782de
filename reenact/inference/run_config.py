"""The settings of one `infer.py` run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reenact.errors import UserError
from reenact.face.released.config import ReleasedConfig
from reenact.inference.compose import Levels
from reenact.inference.config import ReenactorConfig

Motion = Literal["absolute", "relative"]


@dataclass(frozen=True, kw_only=True)
class InferRun:
    """One reenactment run.

    weights: checkpoint of the reenactor; null = the shipped one, or the authors' own with
        `released`.
    compose: "crop" writes the generated face crop (`output_size` pixels square), "follow" lets it
        move and roll in that square as the target's head did, "paste_back" puts it back into the
        source photo (shrunk to `paste_max_side` for videos).
    motion: "absolute" takes the target's expression and pose as they are, "relative" takes their
        change since the first target frame with a face and adds it to the source's own.
    levels: "exact" maps [-1, 1] to [0, 255]; "stretched" stretches every picture from its own
        darkest to its brightest value, as the authors' script saves it.
    released: null = the open face stack; else the authors' (FLAME, EMOCA, ETH-XGaze).
    """

    weights: Path | None
    output_size: int
    compose: Literal["crop", "follow", "paste_back"]
    paste_max_side: int
    motion: Motion
    levels: Levels = "exact"
    released: ReleasedConfig | None = None
    reenactor: ReenactorConfig

    def __post_init__(self) -> None:
        for name in ("output_size", "paste_max_side"):
            if not 16 <= getattr(self, name) <= 4096:
                raise UserError(f"{name}: must be 16 to 4096 pixels, got {getattr(self, name)}")
