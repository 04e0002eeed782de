"""The settings of the authors' face stack."""

from __future__ import annotations

from dataclasses import dataclass

from reenact.errors import UserError
from reenact.face.released.files import ReleasedFiles


@dataclass(frozen=True, kw_only=True)
class ReleasedConfig:
    """How faces are found and read.

    compat: true repeats the published script: every picture is squeezed to 256 x 256 before
        anything else, and every frame stands alone. false keeps the aspect, looks for the face in
        a picture of at most `search_side` pixels a side, aligns it from the full resolution, and
        calms jitter over `steadying` seconds (sigma; 0 = no).
    antialias: whether the landmark net's crop is shrunk with antialiasing. It depends on the
        torchvision version, and which one the authors ran is unknown; matters only for faces
        larger than 256 pixels.
    chunk: frames in memory at a time, and the batch of the tracking networks.
    """

    files: ReleasedFiles
    compat: bool = False
    search_side: int = 640
    steadying: float = 0.06
    antialias: bool = True
    chunk: int = 8

    def __post_init__(self) -> None:
        if self.search_side < 128:
            raise UserError(f"search_side: must be at least 128 pixels, got {self.search_side}")
        if self.chunk < 1:
            raise UserError(f"chunk: must be at least 1, got {self.chunk}")
        if self.steadying < 0:
            raise UserError(f"steadying: must not be negative, got {self.steadying}")
