"""Where x_T is made, the image that rendering starts from, for training, previews and inference.

A start is a function of `StartInputs`. To add one, write the function and add a line to `STARTS`:
its name is then a value of `x_T` in the configs of training, evaluation and inference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from reenact.errors import UserError
from reenact.face.surface.motion_field import MotionField, draft


@dataclass(frozen=True, kw_only=True)
class StartInputs:
    """What x_T can be made of, for B pictures of side S.

    The functions take time. A start calls those that it needs.

    source: source pictures (B, 3, S, S) in [-1, 1].
    noise: standard normal noise times the temperature, (B, 3, S, S) or (1, 3, S, S).
    inverted: gives the source's x_T (B, 3, S, S), inverted under the code of the source.
    invert_edited: turns pictures (B, 3, S, S) into their x_T, inverted under the wanted code z_r.
    head_region: gives 1 where the source's head and hair are, (B, 1, S, S) in [0, 1].
    motion_field: gives the motion from the source to the wanted picture, of side S.
    layered: gives the photo's layers with the wanted motion, (B, 3, S, S). Only where results are
        composed of layers.
    """

    source: Tensor
    noise: Tensor
    inverted: Callable[[], Tensor]
    invert_edited: Callable[[Tensor], Tensor]
    head_region: Callable[[], Tensor]
    motion_field: Callable[[], MotionField]
    layered: Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Start:
    """A way to make x_T (B, 3, S, S).

    follows_motion: x_T depends on the wanted motion, so it is made for each frame. The function may
        call `invert_edited` and `motion_field`. Without it x_T is made once for each source.
    needs_layers: the function may call `layered`.
    """

    make: Callable[[StartInputs], Tensor]
    follows_motion: bool = False
    needs_layers: bool = False


def source_start(inputs: StartInputs) -> Tensor:
    """The inverted source, as in the paper."""
    return inputs.inverted()


def mixed_start(inputs: StartInputs) -> Tensor:
    """The inverted source, with noise inside the head region (ours)."""
    return blend_noise(inputs.inverted(), inputs.noise, inputs.head_region())


def random_start(inputs: StartInputs) -> Tensor:
    """Noise alone."""
    return inputs.noise.expand_as(inputs.source)


def moved_start(inputs: StartInputs) -> Tensor:
    """The source is moved with the head model and then inverted (ours, see docs/motion.md).

    Noise fills what the source does not show.
    """
    field = inputs.motion_field()
    x_T = inputs.invert_edited(draft(inputs.source, field))
    return blend_noise(x_T, inputs.noise, field.unknown)


def layered_start(inputs: StartInputs) -> Tensor:
    """The photo's layers are moved and then inverted (ours, see docs/layers.md)."""
    return inputs.invert_edited(inputs.layered())


STARTS: dict[str, Start] = {
    "source": Start(make=source_start),
    "mixed": Start(make=mixed_start),
    "random": Start(make=random_start),
    "moved": Start(make=moved_start, follows_motion=True),
    "layered": Start(make=layered_start, follows_motion=True, needs_layers=True),
}


if TYPE_CHECKING:
    StartName = str
else:
    # A config with a field of this type accepts exactly the names in the registry.
    StartName = Literal[tuple(STARTS)]


def find_start(name: StartName) -> Start:
    """The start of this name. Raises UserError for an unknown name."""
    if name not in STARTS:
        raise UserError(f"x_T: must be one of {', '.join(STARTS)}, got {name!r}")
    return STARTS[name]


def blend_noise(x_T: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """`noise` where `mask` is 1 and `x_T` where it is 0. In between the variance stays the same.

    x_T: (B, 3, S, S). noise: the same, or (1, 3, S, S). mask: (B, 1, S, S) in [0, 1].
    """
    return (1 - mask).sqrt() * x_T + mask.sqrt() * noise
