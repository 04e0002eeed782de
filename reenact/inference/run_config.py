"""The settings of the pictures that are made, and of one run of the command `infer`."""

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from reenact.errors import UserError
from reenact.face.control import Strength
from reenact.face.factory import FaceConfig
from reenact.face.stack import Place, Which
from reenact.inference.background import PHOTO, check_background
from reenact.inference.compose import CompositionName, Levels, find_composition
from reenact.inference.config import ReenactorConfig
from reenact.inference.motion import MotionOptions, SourcePose
from reenact.media.images import read_frame
from reenact.ranges import Count, NonNegative, Range

Choice = Which | str | Path
"""Which of several faces, see `face.stack.Which`; also the path of a reference picture."""

Side = Annotated[int, Range(at_least=16, at_most=4096)]


@dataclass(frozen=True, kw_only=True)
class AnimateOptions(MotionOptions):
    """The options of `Reenactor.animate`: how the source moves, and how results look.

    output_size: side of the face crop in the result, in pixels.
    compose: what is shown. "photo" is the whole source photo with the moved person. "crop" is the
        face crop. "follow" is the face crop that moves and rolls as the target's head did.
    max_side: pixels; for a video a longer photo is shrunk to it, with "photo".
    background: what is behind the person. "photo" is the photo's own background. "transparent" is
        nothing: results have an alpha channel. "#rrggbb" is a plain colour. Of a photo with
        transparent parts "transparent" keeps these, and a colour is laid under them.
    levels: "exact" maps [-1, 1] to [0, 255]. "stretched" stretches every picture from its own
        darkest to its brightest value, as the authors' script saves it.
    """

    output_size: Side = 256
    compose: CompositionName = "photo"
    max_side: Side = 1280
    background: str = PHOTO
    levels: Levels = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        find_composition(self.compose)
        check_background(self.background)


@dataclass(frozen=True, kw_only=True)
class InferRun(AnimateOptions):
    """One run of the command `infer`: the fields of `AnimateOptions`, and these.

    weights: checkpoint of the reenactor; null = the one made for the face stack: the shipped
        one, or the authors'.
    start, end: seconds; the part of the target that is taken. null = from the first frame, to the
        last one.
    max_frames: the target is read up to so many frames; null = to its end.
    fps: frames per second of the result; null = every target frame at its own time. Any other
        value repeats or leaves out target frames; 29.97 means 30000/1001.
    source_face, target_face: one of several faces: "largest", "leftmost", "rightmost", "topmost", a
        number from the left as the command `faces` shows it, or the path of a picture that shows
        the person. Several people can move: "1,2" are two faces, "all" are all faces of the source.
    smoothing: how much small jitter of the target's motion is calmed: 0 = not at all, 1 = as usual,
        2 = over twice the time.
    repeat: how often a video target is played, at most 1000 times.
    pingpong: every second time the target is played backwards.
    source_pose: of a source video. "keep" = its head moves as before, "take" = as the target's.
    sound: "target" = the sound of the target, "source" = that of a source video, "none" = no sound.
    c2pa_certificate, c2pa_key: PEM files of a certificate chain and its private key. The result is
        signed with them as C2PA describes.
    label: draws a small mark into the lower right corner which says that the picture is synthetic.
    face: which face stack reads and draws faces.
    reenactor: how a crop is rendered.
    """

    weights: Path | None = None
    start: NonNegative | None = None
    end: NonNegative | None = None
    max_frames: Count | None = None
    fps: Annotated[float, Range(at_least=1, at_most=240)] | None = None
    source_face: int | str = "largest"
    target_face: int | str = "largest"
    smoothing: Strength = 1.0
    repeat: Annotated[int, Range(at_least=1, at_most=1000)] = 1
    pingpong: bool = False
    source_pose: SourcePose = "keep"
    sound: Literal["target", "source", "none"] = "target"
    label: bool = False
    c2pa_certificate: Path | None = None
    c2pa_key: Path | None = None
    face: FaceConfig = field(default_factory=FaceConfig)
    reenactor: ReenactorConfig = field(default_factory=ReenactorConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end is not None and self.end <= (start := self.start or 0.0):
            raise UserError(f"end: must be later than the start at {start:g} s, got {self.end:g} s")


def animate_options(run: InferRun) -> dict[str, Any]:
    """The part of a run that `Reenactor.animate` takes, as its options."""
    return {f.name: getattr(run, f.name) for f in fields(AnimateOptions)}


def face_numbers(choice: int | str, option: str) -> list[int]:
    """The numbers in a choice such as 2 or "1,2"; none for any other choice. Raises UserError."""
    if isinstance(choice, int):
        return [choice]
    if not re.fullmatch(r"\d+(,\d+)*", choice):
        return []
    numbers = [int(number) for number in choice.split(",")]
    if len(set(numbers)) < len(numbers):
        raise UserError(f"{option} {choice!r}: each face can be chosen once only")
    return numbers


def which_face(choice: Choice, option: str) -> Which:
    """The one face that `source_face` or `target_face` names; a reference picture is read.

    option: the name of the option, for errors. Raises UserError for a word that is neither a place
    nor a number nor a file, and for a file that is no picture.
    """
    if not isinstance(choice, str | Path):
        return choice
    choice = str(choice)
    if choice in get_args(Place):
        return choice  # type: ignore[return-value]
    if len(numbers := face_numbers(choice, option)) == 1:
        return numbers[0]
    path = Path(choice)
    if not os.path.exists(path):  # `path.exists()` fails for a name that no file can have
        raise UserError(
            f"{option} {choice!r}: choose {', '.join(get_args(Place))}, a number from the left, or "
            "the path of a picture that shows the person"
        )
    return read_frame(path)
