"""Control over a motion: how strong it is, which part of the face follows it, and sliders.

Everything here works on the open head model's parameters, in the pixels of the source's crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.params import MAX_GAZE, FaceParams
from reenact.ranges import Checked, Range

Strength = Annotated[float, Range(at_least=0, at_most=2)]
Slider = Annotated[float, Range(at_least=-1, at_most=1)]
Opening = Annotated[float, Range(at_least=0, at_most=1)]
Angle = Annotated[float, Range(at_least=-60, at_most=60)]
Region = Literal["all", "head", "face", "eyes", "mouth"]

SIGNS = torch.tensor([1.0, -1.0, -1.0])
"""From the sliders' directions to those of `rotation_matrix`: yaw, pitch, roll."""

EYES = ("eye", "brow")
MOUTH = ("jaw", "mouth", "tongue", "cheekPuff")


@dataclass(frozen=True, kw_only=True)
class Control(Checked):
    """How much of a motion the result takes. 1 takes it as it is, 0 keeps the source's own.

    pose_strength: of the head's rotation, place and size.
    expression_strength: of the 52 expressions.
    gaze_strength: of the direction of the eyes.
    eye_retargeting: the lids are as far open as the target's, measured by the usual opening of each
        person. Narrow eyes stay narrow, and close fully when the target's do.
    lip_retargeting: the lips are as far open as the target's, and closed when the target's are.
    region: the part that moves. "head" is the pose alone. "face" is everything but the pose. "eyes"
        are lids, brows and gaze. "mouth" is the mouth with the jaw.
    """

    pose_strength: Strength = 1.0
    expression_strength: Strength = 1.0
    gaze_strength: Strength = 1.0
    eye_retargeting: bool = False
    lip_retargeting: bool = False
    region: Region = "all"

    @property
    def is_neutral(self) -> bool:
        """Whether the motion is taken as it is."""
        return all(getattr(self, f.name) == f.default for f in fields(Control))


@dataclass(frozen=True, kw_only=True)
class Sliders(Checked):
    """Changes of a face's own pose and expression; 0 changes nothing.

    yaw, pitch, roll: rotation of the head in degrees. Positive values turn to the right of the
        picture, up, and clockwise in the picture.
    smile: corners of the mouth, up to 1, or down to -1.
    open_mouth: opening of the jaw.
    blink: closing of both lids.
    brow: brows up to 1, or down to -1.
    gaze_yaw, gaze_pitch: direction of the eyes in degrees, to the right of the picture and up.
    """

    yaw: Angle = 0.0
    pitch: Angle = 0.0
    roll: Angle = 0.0
    smile: Slider = 0.0
    open_mouth: Opening = 0.0
    blink: Opening = 0.0
    brow: Slider = 0.0
    gaze_yaw: Angle = 0.0
    gaze_pitch: Angle = 0.0


def controlled(source: FaceParams, driven: FaceParams, control: Control) -> FaceParams:
    """The faces `driven` (B, the source person) with the source's own share put back.

    source: one face, in the pixels of the same crop. Expressions stay in [0, 1].
    """
    pose = control.pose_strength if control.region in ("all", "head") else 0.0
    gaze = control.gaze_strength if control.region in ("all", "face", "eyes") else 0.0
    expression = control.expression_strength * region_weights(control.region).to(driven.expression)
    source = source.to(driven.scale.device)

    def mixed(own: Tensor, wanted: Tensor, strength: Tensor | float) -> Tensor:
        return own + strength * (wanted - own)

    turn = torch.remainder(driven.rotation - source.rotation + math.pi, 2 * math.pi) - math.pi
    return replace(
        driven,
        expression=mixed(source.expression, driven.expression, expression).clamp(0, 1),
        rotation=source.rotation + pose * turn,
        translation=mixed(source.translation, driven.translation, pose),
        scale=mixed(source.scale.log(), driven.scale.log(), pose).exp(),
        gaze=mixed(source.gaze, driven.gaze, gaze),
    )


def region_weights(region: Region) -> Tensor:
    """1 for the expressions that belong to the region, else 0: (52,)."""
    if region in ("all", "face"):
        return torch.ones(len(EXPRESSION_NAMES))
    starts = {"head": (), "eyes": EYES, "mouth": MOUTH}[region]
    return torch.tensor([float(name.startswith(starts)) for name in EXPRESSION_NAMES])


def posed(source: FaceParams, sliders: Sliders) -> FaceParams:
    """The face with the sliders' changes added to its own pose and expression."""
    changes = {
        "mouthSmile": max(sliders.smile, 0),
        "cheekSquint": 0.5 * max(sliders.smile, 0),
        "mouthFrown": max(-sliders.smile, 0),
        "jawOpen": sliders.open_mouth,
        "eyeBlink": sliders.blink,
        "browInnerUp": max(sliders.brow, 0),
        "browOuterUp": max(sliders.brow, 0),
        "browDown": max(-sliders.brow, 0),
        # The lids follow the eyes.
        "eyeLookUp": max(sliders.gaze_pitch, 0) / 30,
        "eyeLookDown": max(-sliders.gaze_pitch, 0) / 30,
    }
    change = torch.zeros(len(EXPRESSION_NAMES))
    for i, name in enumerate(EXPRESSION_NAMES):
        change[i] = next((v for start, v in changes.items() if name.startswith(start)), 0.0)
    turn = torch.tensor([sliders.yaw, sliders.pitch, sliders.roll]).deg2rad() * SIGNS
    gaze = torch.tensor([sliders.gaze_yaw, sliders.gaze_pitch]).deg2rad() * SIGNS[:2]
    return replace(
        source,
        expression=(source.expression + change.to(source.expression)).clamp(0, 1),
        rotation=source.rotation + turn.to(source.rotation),
        gaze=(source.gaze + gaze.to(source.gaze)).clamp(-MAX_GAZE, MAX_GAZE),
    )
