"""How the layers of a photo are put together (ours)."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.surface.layer_field import LayerField
from reenact.face.surface.motion_field import resampled
from reenact.inference.drawn import DrawnPerson, drawn_features, drawn_person, opaque
from reenact.inference.layers import Layers

OVERLAP = 1 / 25
"""The edge of the moved person fades into what else of the person stands behind it, over about this
share of the crop's side.
"""


def layered(
    images: Tensor, layers: Layers, field: LayerField, people: Tensor | None = None
) -> Tensor:
    """Pictures (B, C, D, D) of the canvas from the networks' pictures (B, 3, S, S).

    field: of the canvas, of any side R. people: (B, 1, S, S) in [0, 1], the person in each of the
    networks' pictures; None leaves layer 2 out. Layers from back to front:

    1. The plate.
    2. Where the head turns far, the person of the networks' picture, in the light and colour of the
       moved person. It is seen where the moved person leaves the wall open. The face of the moved
       person gets the light of the networks' face.
    3. Where the head turns, the source's own hair at the back of the head. It hides what the
       networks draw, but not their face.
    4. The person of the source, moved by the field. Where a cheek turns into view its colours go
       on beyond the person's outline in the photo. Where the head turns far, skin that the photo
       shows only at a slant is the networks', in the light and colour of the moved person.
    5. Parts of the face that the source hides: fine features of the other half of the face, on the
       networks' picture in the light and colour of the surroundings.
    6. The usual teeth and eyes where the source hides its own.

    A grey photo stays grey. Without any motion the result is the photo itself, whatever the
    networks draw.
    """
    side = layers.canvas.size
    if layers.face.look.is_grey:
        images = images.mean(1, keepdim=True).expand_as(images)
    moving = field.resized_grids(side)
    person = _moved(layers.person, layers.inside, moving, layers.reach)
    if bool(field.hidden.any()):
        features = drawn_features(images, layers, field, person)
        person = _painted(person, features, resampled(field.hidden, side))
    drawn = None
    if people is not None and bool(field.behind.any()):
        drawn = drawn_person(images, people, layers, field, person)
        person = _lit(person, drawn.gain)
        if bool(field.slanted.any()):
            slanted = resampled(field.slanted, side) * drawn.person
            person = _painted(person, drawn.colours, slanted)
    back, cover = _behind(layers, moving, drawn)
    if bool(cover.any()):
        person = _fading(person, cover, _overlap(layers, side))
    if bool(field.fill.any()):
        person = _filled(person, resampled(field.fill, side))
    return torch.addcmul(person[:, :-1], 1 - person[:, -1:], back)


def _painted(person: Tensor, colours: Tensor, share: Tensor) -> Tensor:
    """The person (B, C + 1, H, W) with opaque colours (B, 3, R, R) on this share (B, 1, H, W)."""
    return person.lerp_(resampled(opaque(colours, person.shape[1]), share.shape[-1]), share)


def _lit(person: Tensor, gain: Tensor) -> Tensor:
    """The person (B, C + 1, H, W) with `gain` (B, 1, H, W) times its light. Black is -1."""
    lit = (person[:, :3] + person[:, -1:]) * gain - person[:, -1:]
    return torch.cat([lit, person[:, 3:]], 1)


def _behind(layers: Layers, moving: LayerField, drawn: DrawnPerson | None) -> tuple[Tensor, Tensor]:
    """What stands behind the person (B, C, D, D), and how much of each pixel is not the plate
    (B, 1, D, D).
    """
    back, cover = layers.plate, torch.zeros_like(moving.grid[:, None, :, :, 0])
    if drawn is not None:
        back, cover = back.lerp(opaque(drawn.colours, back.shape[1]), drawn.behind), drawn.behind
    if bool(moving.back.any()):
        hair = moving.warp_back(layers.back, layers.reach)
        back, cover = _with_hair(back, cover, hair, moving)
    return back, cover


def _with_hair(
    back: Tensor, cover: Tensor, hair: Tensor, field: LayerField
) -> tuple[Tensor, Tensor]:
    """What stands behind the person (B, C, H, W), under the hair at the back of the head (B, C + 1,
    H, W), and how much of each pixel is not the plate (B, 1, H, W).
    """
    hair = hair * resampled(field.back, hair.shape[-1])
    return hair[:, :-1] + (1 - hair[:, -1:]) * back, torch.maximum(cover, hair[:, -1:])


def _overlap(layers: Layers, size: int) -> int:
    """Half of `OVERLAP` in pixels of a canvas of `size` pixels."""
    crop_side = layers.canvas.zoom * layers.face.size * size / layers.canvas.size
    return max(1, round(OVERLAP * crop_side / 2))


def _fading(person: Tensor, cover: Tensor, edge: int) -> Tensor:
    """The person (B, C + 1, H, W) without its edge of `edge` pixels where `cover` (B, 1, H, W)
    stands behind it.
    """
    inner = box_mean(1 - box_max(1 - person[:, -1:], edge), edge)
    return person * (1 - cover * (1 - inner))


def _filled(person: Tensor, fill: Tensor) -> Tensor:
    """The person (B, C + 1, H, W) under the opaque colours of `fill`, see `LayerField`."""
    cover = fill[:, 3:]
    planes = [fill[:, :3], *[cover] * (person.shape[1] - 3)]
    return person.mul_(1 - cover).add_(torch.cat(planes, 1))


def draft(layers: Layers, field: LayerField) -> Tensor:
    """The layers (B, 3, R, R) without the networks, in the pixels of the field.

    What the source hides of a face is as on its other half.
    """
    size = field.grid.shape[1]
    wide = round(size * layers.reach)
    person, inside = resampled(layers.person, wide), resampled(layers.inside, wide)
    opposite = field.opposite(inside, layers.reach)
    person = _moved(person, inside, field, layers.reach)
    person = _painted(person, opposite, field.hidden)
    back, cover = resampled(layers.plate, size), torch.zeros_like(person[:, -1:])
    if bool(field.back.any()):
        hair = field.warp_back(resampled(layers.back, wide), layers.reach)
        back, cover = _with_hair(back, cover, hair, field)
        person = _fading(person, cover, _overlap(layers, size))
    person = _filled(person, field.fill)
    return person[:, :-1] + (1 - person[:, -1:]) * back


def _moved(person: Tensor, inside: Tensor, field: LayerField, reach: float) -> Tensor:
    """The person (B, C + 1, D, D) moved by a field whose grid has D pixels; see `Layers`."""
    moved = field.warp(person, reach)
    if not bool(field.opaque.any()):
        return moved
    colours = field.warp(inside, reach)
    share = resampled(field.opaque, moved.shape[-1])
    return moved.addcmul_(1 - moved[:, -1:], share * opaque(colours, moved.shape[1]))
