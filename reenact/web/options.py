"""The options and sliders of the page. An option has the name of a key of the config `infer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from reenact.errors import UserError
from reenact.face.control import Sliders
from reenact.face.stack import Place
from reenact.inference.run_config import InferRun

AS_USUAL = "as usual"
"""A choice of `motion`. Motions that ship with the package are then relative, all others absolute.
The command `infer` does the same."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """key: of the config. choices: texts; () = a switch; None = a number, with low, high and step
    on a slider.
    """

    key: str
    text: str
    choices: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    step: float | None = None


OPTIONS: dict[str, tuple[Option, ...]] = {
    "Motion": (
        Option(
            key="motion",
            text="the motion as it is, or its change added to the photo's own face",
            choices=(AS_USUAL, "absolute", "relative"),
        ),
        Option(
            key="source_pose",
            text="of a source video: keep the head's own motion, or take the target's",
            choices=("keep", "take"),
        ),
        Option(
            key="motion_reference",
            text="where relative motion starts: the first frame, or the one most like the photo",
            choices=("first", "closest"),
        ),
        Option(
            key="region",
            text="the part that moves",
            choices=("all", "head", "face", "eyes", "mouth"),
        ),
        Option(
            key="eye_retargeting",
            text="open the eyes in proportion to the photo's own opening",
            choices=(),
        ),
        Option(
            key="lip_retargeting",
            text="open and close the lips exactly as far as the target's",
            choices=(),
        ),
        Option(key="pose_strength", text="how much of the head's motion", low=0, high=2, step=0.1),
        Option(
            key="expression_strength", text="how much of the expression", low=0, high=2, step=0.1
        ),
        Option(key="gaze_strength", text="how much of the gaze", low=0, high=2, step=0.1),
        Option(key="smoothing", text="how much jitter is calmed", low=0, high=2, step=0.1),
    ),
    "Part of the target": (
        Option(key="start", text="first second; 0: the start"),
        Option(key="end", text="last second; 0: the end"),
        Option(key="max_frames", text="at most so many frames; 0: all"),
        Option(key="fps", text="frames per second; 0: the target's own times"),
        Option(key="repeat", text="how often it is played", low=1, high=10, step=1),
        Option(key="pingpong", text="every second time backwards", choices=()),
        Option(key="target_face", text="who drives", choices=get_args(Place)),
    ),
    "Result": (
        Option(
            key="compose",
            text="the whole photo, the face alone, or the face with the target's place and roll",
            choices=("photo", "crop", "follow"),
        ),
        Option(key="output_size", text="side of the face, in pixels"),
        Option(key="max_side", text="longest side of a video of the photo, in pixels"),
        Option(
            key="background",
            text="what is behind the person; transparent gives a WebM or a PNG",
            choices=("photo", "transparent", "#00b140", "#ffffff", "#000000"),
        ),
        Option(
            key="sound",
            text="sound of the result; source is that of a source video",
            choices=("target", "source", "none"),
        ),
        Option(key="label", text="draw a small mark: AI · synthetic", choices=()),
    ),
}
"""Options in the groups of the page."""

SLIDERS: dict[str, tuple[Option, ...]] = {
    "Head": (
        Option(key="yaw", text="Turn", low=-30, high=30, step=1),
        Option(key="pitch", text="Nod", low=-20, high=20, step=1),
        Option(key="roll", text="Tilt", low=-25, high=25, step=1),
    ),
    "Eyes": (
        Option(key="gaze_yaw", text="Gaze sideways", low=-30, high=30, step=1),
        Option(key="gaze_pitch", text="Gaze up", low=-20, high=20, step=1),
        Option(key="blink", text="Close lids", low=0, high=1, step=0.05),
    ),
    "Face": (
        Option(key="smile", text="Smile", low=-1, high=1, step=0.05),
        Option(key="open_mouth", text="Open mouth", low=0, high=1, step=0.05),
        Option(key="brow", text="Raise brows", low=-1, high=1, step=0.05),
    ),
}
"""The fields of `Sliders`, in the groups of the page. Angles are degrees."""

ZERO_IS_NONE = ("start", "end", "max_frames", "fps")
WHOLE = ("max_frames", "repeat", "output_size", "max_side")


def keys_of(groups: Mapping[str, tuple[Option, ...]]) -> list[str]:
    """The keys of all options, in the order of the page."""
    return [option.key for group in groups.values() for option in group]


def sliders_of(values: Mapping[str, Any]) -> Sliders:
    """The sliders as they stand on the page. Raises UserError."""
    return Sliders(**{key: _number(key, value) for key, value in values.items()})


def run_of(base: InferRun, values: Mapping[str, Any], *, is_shipped: bool) -> InferRun:
    """The run that the values of the page describe; None takes what `base` says.

    Zero does the same for `ZERO_IS_NONE`.

    is_shipped: whether the target is a motion that ships with the package. Raises UserError.
    """
    known = {option.key: option for group in OPTIONS.values() for option in group}
    chosen: dict[str, Any] = {}
    for key, value in values.items():
        choices = known[key].choices
        if value is None or (value == 0 and key in ZERO_IS_NONE):
            continue
        if choices and value not in choices:
            raise UserError(f"{key}: choose {', '.join(choices)}")
        if choices == () and not isinstance(value, bool):
            raise UserError(f"{key}: give yes or no")
        chosen[key] = _number(key, value) if choices is None else value
    if chosen.get("motion", AS_USUAL) == AS_USUAL:
        chosen["motion"] = "relative" if is_shipped else base.motion
    return replace(base, **chosen)


def _number(key: str, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key}: give a number")
    if key not in WHOLE:
        return value
    if value != int(value):
        raise UserError(f"{key}: give a whole number")
    return int(value)
