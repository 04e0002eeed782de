"""The options of the commands that animate, in the groups of their help.

Each option has the name of a key of the config `infer`, with dashes. `--from` and `--to` are the
keys `start` and `end`, because `from` is a reserved word of Python. What the command line does not
give comes from the config.
"""

import argparse
from collections.abc import Callable
from typing import Any

OPTION_OF_KEY = {"start": "--from", "end": "--to"}
"""Options that are not called like their key."""

KEYS = (
    *("start", "end", "max_frames", "fps", "repeat", "pingpong", "smoothing"),
    *("motion", "motion_reference", "region"),
    *("eye_retargeting", "lip_retargeting"),
    *("pose_strength", "expression_strength", "gaze_strength"),
    *("source_face", "target_face"),
    *("source_pose", "compose", "output_size", "max_side", "background", "sound", "label"),
    *("c2pa_certificate", "c2pa_key"),
    *("reenactor.num_steps", "reenactor.precision", "reenactor.seed"),
)
"""The keys of the config that have an option. A section is left out of the option's name."""


MOTION = "relative motion, strengths, regions, retargeting, smoothing"
FACES = "which of several faces (see `python -m reenact faces`)"
OUTPUT = "what is shown, size, background, sound, label, signature"
EXPERT = "config, rendering, device"
"""What the groups of options are about."""


RELATIVE = {"motion": "relative"}
"""For live, and for motions that ship with the package: the change of a stranger's face is taken,
not the face itself. What the user says counts more."""


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keys of the config that the command line gives, with their values."""
    values = {key: getattr(arguments, key, None) for key in KEYS}
    return {key: value for key, value in values.items() if value is not None}


def option_of(key: str) -> str:
    """The option that gives this key of the config, such as --max-frames."""
    return OPTION_OF_KEY.get(key, f"--{key.split('.')[-1].replace('_', '-')}")


def add_part(group: Any) -> None:
    """Which part of the target is taken."""
    _add(group, "start", float, "SECONDS", "first second of the target (default: its start)")
    _add(group, "end", float, "SECONDS", "last second of the target (default: its end)")
    _add(group, "max_frames", int, "N", "take at most so many frames (default: all)")


def add_motion(group: Any) -> None:
    """How the source takes the target's motion."""
    text = "pose and expression, or their change (default: absolute)"
    _choose(group, "motion", ("absolute", "relative"), text)
    group.add_argument(
        "--relative",
        action="store_const",
        const="relative",
        dest="motion",
        help="the same as --motion relative",
    )
    text = "start of the change: first, closest, a number (default: first)"
    _add(group, "motion_reference", number_or_text, "FRAME", text)
    for part in ("pose", "expression", "gaze"):
        text = f"how much of the {part} to take, 0 to 2 (default: 1)"
        _add(group, f"{part}_strength", float, "X", text)
    text = "what moves: all, head, face, eyes or mouth (default: all)"
    _choose(group, "region", ("all", "head", "face", "eyes", "mouth"), text, metavar="PART")
    _switch(group, "eye_retargeting", "open the eyes in proportion to the photo's own opening")
    _switch(group, "lip_retargeting", "open and close the lips exactly as far as the target's")


def add_smoothing(group: Any) -> None:
    """How much the target's motion is calmed."""
    _add(group, "smoothing", float, "X", "calm the jitter: 0 none, 1 usual, up to 2 (default: 1)")


def add_playing(group: Any) -> None:
    """How often a target is played."""
    _add(group, "repeat", int, "N", "play the target so many times (default: 1)")
    _switch(group, "pingpong", "play every second time backwards")


def add_source_pose(group: Any) -> None:
    """Whose head motion a source video has."""
    text = "head motion of a source video (default: keep)"
    _choose(group, "source_pose", ("keep", "take"), text)


def add_source_face(group: Any) -> None:
    """Which face of the photo is animated."""
    text = (
        "face that moves: largest, leftmost, rightmost, topmost, 2, photo.jpg, all, or 1,3 "
        "(default: largest)"
    )
    _add(group, "source_face", number_or_text, "FACE", text)


def add_target_face(group: Any) -> None:
    """Which face of the target drives."""
    text = "face that drives: largest, leftmost, 2, photo.jpg, or 2,1 (default: largest)"
    _add(group, "target_face", number_or_text, "FACE", text)


def add_frames(group: Any) -> None:
    """What the frames of the result look like."""
    text = "whole photo, or face alone (default: photo)"
    _choose(group, "compose", ("photo", "crop", "follow"), text)
    _add(group, "output_size", int, "PIXELS", "side of the face crop (default: 256)")
    _add(group, "max_side", int, "PIXELS", "longest side of a video of the photo (default: 1280)")
    text = "photo, transparent, or a colour such as '#00b140' (default: photo)"
    _add(group, "background", str, "WHAT", text)
    _switch(group, "label", "draw a small mark: synthetic")
    _add(group, "c2pa_certificate", str, "PEM", "sign the result with this chain (default: no)")
    _add(group, "c2pa_key", str, "PEM", "private key of the certificate (default: none)")


def add_video(group: Any) -> None:
    """What belongs to a video alone."""
    _add(group, "fps", float, "FPS", "a constant frame rate (default: the target's own times)")
    _choose(group, "sound", ("target", "source", "none"), "sound of the result (default: target)")


def add_rendering(group: Any) -> None:
    """How the networks render."""
    text = "sampling steps of a frame (default: those of the weights)"
    _add(group, "reenactor.num_steps", int, "N", text)
    kinds = ("auto", "fp32", "bf16", "fp16")
    text = "number format: auto, fp32, bf16, fp16 (default: auto)"
    _choose(group, "reenactor.precision", kinds, text, metavar="FORMAT")
    _add(group, "reenactor.seed", int, "N", "seed of the noise, where there is any (default: 0)")


def add_usual_groups(parser: argparse.ArgumentParser) -> Any:
    """The groups motion, faces and output of the commands that write videos; returns the last."""
    motion = parser.add_argument_group("motion", MOTION)
    add_motion(motion)
    add_smoothing(motion)
    add_source_pose(motion)
    add_playing(motion)
    faces = parser.add_argument_group("faces", FACES)
    add_source_face(faces)
    add_target_face(faces)
    output = parser.add_argument_group("output", OUTPUT)
    add_frames(output)
    add_video(output)
    return output


def number_or_text(text: str) -> int | str:
    """A whole number, or else the text."""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 10 else text


def _add(group: Any, key: str, kind: Callable[[str], Any], metavar: str, text: str) -> None:
    group.add_argument(option_of(key), dest=key, type=kind, metavar=metavar, help=text)


def _choose(
    group: Any, key: str, choices: tuple[str, ...], text: str, metavar: str | None = None
) -> None:
    group.add_argument(option_of(key), dest=key, choices=choices, metavar=metavar, help=text)


def _switch(group: Any, key: str, text: str) -> None:
    """Without the switch the config decides."""
    group.add_argument(option_of(key), dest=key, action="store_true", default=None, help=text)
