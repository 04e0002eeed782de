"""Motion files: the motion of a target without a single pixel of it.

A motion file is a .safetensors. Its header has one text under FORMAT, a JSON object:

    face: the face stack that tracked the motion, by its name in `factory.STACKS`
    size: side of the crops in whose pixels the faces are given
    fps, end: frames per second and end of the last frame, as fractions ("30000/1001")
    is_picture: whether the target was a single picture

Its tensors have N rows, one for each frame:

    params.<name>: float32, for each field of the stack's parameters
    crops, windows: (N, 3, 3) float64, from frame to crop pixels
    found, crop_followed: (N,) uint8; person, shot: (N,) int64; see `TargetMotion`
    times: (N, 2) int64, numerator and denominator of the seconds at which each frame appears
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from reenact.errors import UserError
from reenact.face.crop import FaceCrop
from reenact.face.factory import STACKS
from reenact.face.stack import TargetMotion
from reenact.files import atomic_output, check_input_file
from reenact.inference.motion import Motion
from reenact.inference.shipped_motions import SUFFIX
from reenact.media.timeline import Timeline

FORMAT = "motion-1"
MAX_FRAMES = 1_000_000
MAX_SECONDS = 1_000_000
SIZES = range(16, 4097)


def is_motion_path(path: str | Path) -> bool:
    """Whether the name says that it is a motion file."""
    return str(path).lower().endswith(SUFFIX)


def save_motion(motion: Motion, path: str | Path) -> None:
    """Write a motion file, atomically. Raises UserError if it cannot be written."""
    tracked, timeline = motion.tracked, motion.timeline
    face = next(name for name, e in STACKS.items() if type(tracked.params) is e.params)
    header = {
        "face": face,
        "size": motion.size,
        "fps": str(timeline.fps),
        "end": str(timeline.end),
        "is_picture": motion.is_picture,
    }
    arrays = {f"params.{name}": array for name, array in tracked.params.numpy().items()}
    arrays |= {
        "crops": np.stack([crop.crop_from_frame for crop in tracked.crops]),
        "windows": np.stack([window.crop_from_frame for window in tracked.windows]),
        "found": tracked.found.astype(np.uint8),
        "person": tracked.person.astype(np.int64),
        "shot": tracked.shot.astype(np.int64),
        "crop_followed": tracked.crop_followed.astype(np.uint8),
        "times": np.array([t.as_integer_ratio() for t in timeline.times], np.int64),
    }
    with atomic_output(path) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, temporary, metadata={FORMAT: json.dumps(header, sort_keys=True)})


def load_motion(path: str | Path) -> Motion:
    """Read a motion file. Raises UserError if it is missing, damaged or of another kind."""
    path = check_input_file(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable motion file ({error})") from error
    if FORMAT not in metadata:
        raise UserError(
            f"{path}: not a motion file ({FORMAT}), `python -m reenact motion` writes one"
        )
    try:
        return _motion(json.loads(metadata[FORMAT]), arrays)
    except (KeyError, TypeError, ValueError, AssertionError, ZeroDivisionError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path}: damaged motion file ({what[:200]}), write it again") from error


def _motion(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Motion:
    """The motion of checked values. Raises KeyError, TypeError, ValueError and AssertionError."""
    kind, size = STACKS[header["face"]].params, header["size"]
    count = len(arrays["found"])
    if not (isinstance(size, int) and size in SIZES and 0 < count <= MAX_FRAMES):
        raise ValueError(f"crops of {size} pixels, {count} frames")
    shapes = {"found": (), "person": (), "shot": (), "crop_followed": (), "times": (2,)}
    shapes |= {"crops": (3, 3), "windows": (3, 3)}
    shapes |= {f"params.{name}": width for name, width in kind.WIDTHS.items()}
    for name, width in shapes.items():
        if arrays[name].shape != (count, *width):
            raise ValueError(f"{name} has the shape {arrays[name].shape}, not {(count, *width)}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")
    for name in ("crops", "windows"):
        turned = arrays[name][:, :2, :2]
        is_affine = (arrays[name][:, 2] == (0, 0, 1)).all()
        if not (is_affine and (np.linalg.det(turned) > 1e-8).all() and (abs(turned) < 1e4).all()):
            raise ValueError(f"{name} do not lead from frame to crop pixels")
    params = {name.removeprefix("params."): array for name, array in arrays.items()}
    tracked: TargetMotion[Any] = TargetMotion(
        params=kind.from_numpy(params),
        crops=[FaceCrop(crop_from_frame=m, size=size) for m in arrays["crops"]],
        windows=[FaceCrop(crop_from_frame=m, size=size) for m in arrays["windows"]],
        found=arrays["found"].astype(bool),
        person=arrays["person"].astype(int),
        shot=arrays["shot"].astype(int),
        crop_followed=arrays["crop_followed"].astype(bool),
    )
    if not tracked.found.any():
        raise ValueError("no frame has a face")
    times = tuple(Fraction(int(a), int(b)) for a, b in arrays["times"])
    timeline = Timeline(times=times, end=_fraction(header["end"]), fps=_fraction(header["fps"]))
    if any(b <= a for a, b in zip(times, (*times[1:], timeline.end), strict=True)):
        raise ValueError("the times do not increase")
    if times[0] < 0 or timeline.end > MAX_SECONDS:
        raise ValueError(f"the times are not between 0 and {MAX_SECONDS} seconds")
    if not 0 < timeline.fps <= 1000:
        raise ValueError(f"{timeline.fps} frames per second")
    return Motion(
        tracked=tracked, timeline=timeline, size=size, is_picture=bool(header["is_picture"])
    )


def _fraction(text: Any) -> Fraction:
    """ "30000/1001" as a number. Raises ValueError; `Fraction` would also take "1e999999999"."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,20}(/\d{1,20})?", text):
        raise ValueError(f"{str(text)[:40]!r} is not a fraction")
    return Fraction(text)
