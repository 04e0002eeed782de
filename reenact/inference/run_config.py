"""The settings of one `infer.py` run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reenact.errors import UserError
from reenact.face.factory import FaceConfig
from reenact.inference.compose import Levels
from reenact.inference.config import ReenactorConfig

Motion = Literal["absolute", "relative"]


@dataclass(frozen=True, kw_only=True)
class InferRun:
    """One reenactment run.

    weights: checkpoint of the reenactor; null = the one made for the face stack: the shipped
        one, or the authors'.
    compose: "photo" writes the whole source photo with the moved person, for videos shrunk to
        `max_side` pixels. "crop" writes the face crop (`output_size` pixels square). "follow" lets
        the crop move and roll in that square as the target's head did.
    motion: "absolute" takes the target's expression and pose as they are, "relative" takes their
        change since the first target frame with a face and adds it to the source's own.
    fps: frames per second of the result; null = every target frame at its own time. Any other
        value repeats or leaves out target frames; 29.97 means 30000/1001.
    levels: "exact" maps [-1, 1] to [0, 255]; "stretched" stretches every picture from its own
        darkest to its brightest value, as the authors' script saves it.
    face: which face stack reads and draws faces.
    """

    weights: Path | None
    output_size: int
    compose: Literal["photo", "crop", "follow"]
    max_side: int
    motion: Motion
    fps: float | None = None
    levels: Levels = "exact"
    face: FaceConfig = field(default_factory=FaceConfig)
    reenactor: ReenactorConfig

    def __post_init__(self) -> None:
        for name in ("output_size", "max_side"):
            if not 16 <= getattr(self, name) <= 4096:
                raise UserError(f"{name}: must be 16 to 4096 pixels, got {getattr(self, name)}")
        if self.fps is not None and not 1 <= self.fps <= 240:
            raise UserError(f"fps: must be 1 to 240 frames per second, got {self.fps}")
