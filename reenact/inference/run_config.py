"""The settings of the pictures that are made, and of one run of the command `infer`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from reenact.face.factory import FaceConfig
from reenact.inference.compose import CompositionName, Levels, find_composition
from reenact.inference.config import ReenactorConfig
from reenact.inference.motion import MotionMode
from reenact.ranges import Checked, Range

Side = Annotated[int, Range(at_least=16, at_most=4096)]


@dataclass(frozen=True, kw_only=True)
class AnimateOptions(Checked):
    """How results look; the options of `Reenactor.animate`.

    output_size: side of the face crop in the result, in pixels.
    compose: what is shown. "photo" is the whole source photo with the moved person. "crop" is the
        face crop. "follow" is the face crop that moves and rolls as the target's head did.
    max_side: pixels; for a video a longer photo is shrunk to it, with "photo".
    motion: "absolute" takes the target's expression and pose as they are. "relative" takes their
        change since the first target frame with a face, and adds it to the source's own.
    levels: "exact" maps [-1, 1] to [0, 255]. "stretched" stretches every picture from its own
        darkest to its brightest value, as the authors' script saves it.
    """

    output_size: Side = 256
    compose: CompositionName = "photo"
    max_side: Side = 1280
    motion: MotionMode = "absolute"
    levels: Levels = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        find_composition(self.compose)


@dataclass(frozen=True, kw_only=True)
class InferRun(AnimateOptions):
    """One run of the command `infer`: `AnimateOptions`, and what follows.

    weights: checkpoint of the reenactor; null = the one made for the face stack: the shipped
        one, or the authors'.
    fps: frames per second of the result; null = every target frame at its own time. Any other
        value repeats or leaves out target frames; 29.97 means 30000/1001.
    face: which face stack reads and draws faces.
    reenactor: how a crop is rendered.
    """

    weights: Path | None = None
    fps: Annotated[float, Range(at_least=1, at_most=240)] | None = None
    face: FaceConfig = field(default_factory=FaceConfig)
    reenactor: ReenactorConfig = field(default_factory=ReenactorConfig)
