"""The settings of the pictures that are made, and of one run of the command `infer`."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from reenact.face.factory import FaceConfig
from reenact.inference.compose import CompositionName, Levels, find_composition
from reenact.inference.config import ReenactorConfig
from reenact.inference.motion import MotionOptions
from reenact.ranges import Count, Range

Side = Annotated[int, Range(at_least=16, at_most=4096)]


@dataclass(frozen=True, kw_only=True)
class AnimateOptions(MotionOptions):
    """The options of `Reenactor.animate`: how the source moves, and how results look.

    output_size: side of the face crop in the result, in pixels.
    compose: what is shown. "photo" is the whole source photo with the moved person. "crop" is the
        face crop. "follow" is the face crop that moves and rolls as the target's head did.
    max_side: pixels; for a video a longer photo is shrunk to it, with "photo".
    levels: "exact" maps [-1, 1] to [0, 255]. "stretched" stretches every picture from its own
        darkest to its brightest value, as the authors' script saves it.
    """

    output_size: Side = 256
    compose: CompositionName = "photo"
    max_side: Side = 1280
    levels: Levels = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        find_composition(self.compose)


@dataclass(frozen=True, kw_only=True)
class InferRun(AnimateOptions):
    """One run of the command `infer`: the fields of `AnimateOptions`, and these.

    weights: checkpoint of the reenactor; null = the one made for the face stack: the shipped
        one, or the authors'.
    fps: frames per second of the result; null = every target frame at its own time. Any other
        value repeats or leaves out target frames; 29.97 means 30000/1001.
    repeat: how often a video target is played.
    pingpong: every second time the target is played backwards.
    face: which face stack reads and draws faces.
    reenactor: how a crop is rendered.
    """

    weights: Path | None = None
    fps: Annotated[float, Range(at_least=1, at_most=240)] | None = None
    repeat: Count = 1
    pingpong: bool = False
    face: FaceConfig = field(default_factory=FaceConfig)
    reenactor: ReenactorConfig = field(default_factory=ReenactorConfig)


def animate_options(run: InferRun) -> dict[str, Any]:
    """The part of a run that `Reenactor.animate` takes, as its options."""
    return {f.name: getattr(run, f.name) for f in fields(AnimateOptions)}
