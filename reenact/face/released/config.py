"""The settings of the authors' face stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from reenact.face.released.files import ReleasedFiles
from reenact.ranges import Checked, Count, NonNegative, Range


@dataclass(frozen=True, kw_only=True)
class ReleasedConfig(Checked):
    """The authors' face stack: how faces are found and read.

    files: where the authors' weights lie.
    compat: true repeats the published script. It squeezes every picture to 256 x 256 first, and
        reads every frame on its own. false keeps the aspect, aligns the face from the full
        resolution, and calms jitter.
    search_side: without `compat` the face is looked for in a picture of at most this side, in
        pixels.
    steadying: without `compat` jitter is calmed over so many seconds (sigma of a Gaussian); 0 does
        not calm it.
    antialias: whether the landmark network's crop is shrunk with antialiasing. torchvision's
        default depends on its version, and the authors' version is not known. It matters only for
        faces larger than 256 pixels.
    chunk: frames in memory at a time; also the batch size of the tracking networks.
    """

    files: ReleasedFiles
    compat: bool = False
    search_side: Annotated[int, Range(at_least=128)] = 640
    steadying: NonNegative = 0.06
    antialias: bool = True
    chunk: Count = 8
