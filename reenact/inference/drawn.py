"""What the networks draw of a composed picture, in the light and colours of the photo (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.crop import FaceCrop
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.layer_field import LayerField
from reenact.face.surface.motion_field import resampled
from reenact.inference.layers import Layers
from reenact.inference.smoothing import smooth

FEATURE_REACH = 1 / 32
"""Mirrored features are finer than about this share of the side of the face crop."""
COLOUR_DOUBT = 0.003
"""Networks' colours are fitted to the photo's by least squares. This holds the fit near to no
change where few pixels or few colours are known.
"""
BOTH_ABOVE = 0.9
"""Where both masks are above this value, both pictures show the person."""
MOST_ENLARGED = 2
"""The networks' person is fitted to the photo's colours in at most so many times their pixels."""
BORDER = 1 / 16
"""Beside the border of the face crop the networks' person fades out within this share of its side.
"""
LIGHT_REACH, LEAST_LIGHT, MOST_GAIN = 1 / 12, 0.1, 1.25
"""Light and shade on the face that are broader than the first share of the crop's side come from
the networks. Colours are from 0 to 2 here; the second value keeps dark pixels from large gains. The
third is the largest gain.
"""


@dataclass(frozen=True, kw_only=True)
class DrawnPerson:
    """The person that the networks draw, as the canvas shows it.

    colours: (B, 3, D, D), like those of the moved person. person: (B, 1, D, D) in [0, 1], where it
        is. behind: (B, 1, D, D) in [0, 1], how much of it stands behind the moved person. gain:
        (B, 1, D, D), how many times lighter it makes the face.
    """

    colours: Tensor
    person: Tensor
    behind: Tensor
    gain: Tensor


def drawn_person(
    images: Tensor, people: Tensor, layers: Layers, field: LayerField, person: Tensor
) -> DrawnPerson:
    """The person of the networks' pictures (B, 3, S, S), where the moved `person` (B, C + 1, D, D)
    stands. people: as for `layered`.
    """
    side = layers.canvas.size
    # More pixels than a few for each of the networks' would show nothing more.
    size = min(field.grid.shape[1], MOST_ENLARGED * images.shape[-1])
    behind, sure = (resampled(x, size) for x in (field.behind, field.sure))
    width = max(1, round(BORDER * people.shape[-1]))
    middle_part = torch.ones_like(people[:1, :, width:-width, width:-width])
    fading = box_mean(F.pad(middle_part, (width,) * 4), width - 1)
    shown = torch.cat([images, people * fading], 1)
    drawn, cover = onto_canvas(shown, layers.canvas, size).split([3, 1], 1)
    cover = cover.clamp(0, 1)
    small = resampled(person, size)
    both = (torch.minimum(small[:, -1:], cover) > BOTH_ABOVE).to(small)
    drawn = recoloured(drawn, small[:, :3], both)
    face, unit = both * (sure > 0.5), images.shape[-1] * layers.canvas.zoom / side
    gain = light_gain(drawn, small[:, :3], face, unit) ** behind.amax((2, 3), keepdim=True)
    # Nobody gets wider than the photo shows.
    outline = resampled(field.warp_back(layers.person[:, -1:], layers.reach), size)
    return DrawnPerson(
        colours=resampled(drawn, side),
        person=resampled(cover, side),
        behind=resampled(cover * behind * outline, side),
        gain=resampled(gain, side),
    )


def light_gain(drawn: Tensor, shown: Tensor, face: Tensor, unit: float) -> Tensor:
    """How many times lighter than `shown` the face is in `drawn` (both (B, 3, R, R)): (B, 1, R, R).

    Only broad light and shade count. face: (B, 1, R, R), where both show it; beside it the result
    is 1. unit: the side of the face crop as a share of R.
    """
    lights = torch.cat([x.mean(1, keepdim=True) + 1 for x in (drawn, shown)], 1)
    broad = smooth(lights, face, LIGHT_REACH * unit, 1e-2) + LEAST_LIGHT
    gain = (broad[:, :1] / broad[:, 1:]).clamp(1 / MOST_GAIN, MOST_GAIN)
    edge = max(1, round(LIGHT_REACH * unit * face.shape[-1] / 2))
    inner = 1 - box_max(1 - face, edge)
    return 1 + (gain - 1) * box_mean(box_mean(inner, edge), edge)


def recoloured(drawn: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """`drawn` (B, 3, R, R) with the colours of `wanted`, by one affine map of colours per picture.

    weight: (B, 1, R, R), where both show the same. The map is least squares there.
    """
    colours = opaque(drawn, 4).flatten(2)
    known = colours * weight.flatten(2)
    size = colours.shape[2]
    squares = known @ colours.mT / size + COLOUR_DOUBT * torch.eye(4).to(drawn)
    missing = (wanted - drawn).flatten(2)
    change = torch.linalg.solve(squares, known @ missing.mT / size)
    return (drawn + (change.mT @ colours).view_as(drawn)).clamp(-1, 1)


def drawn_features(images: Tensor, layers: Layers, field: LayerField, person: Tensor) -> Tensor:
    """What is drawn where the source hides the face: (B, 3, R, R)."""
    size = field.grid.shape[1]
    unit = images.shape[-1] * layers.canvas.zoom / layers.canvas.size
    small = resampled(person[:, :3], size)
    small_source = resampled(layers.inside, round(size * layers.reach))
    opposite = field.opposite(small_source, layers.reach)
    drawn = onto_canvas(images, layers.canvas, size)
    everywhere = torch.ones_like(field.hidden)
    drawn = drawn + opposite - smooth(opposite, everywhere, FEATURE_REACH * unit)
    known = (field.sure * (1 - field.hidden) > 0.99).to(small)
    missing = smooth(small - drawn, known, FEATURE_REACH * unit)
    return drawn + filled_in(missing * known, known)


def onto_canvas(images: Tensor, canvas: FaceCrop, size: int) -> Tensor:
    """Pictures of the face crop (B, C, S, S) as the canvas shows them in `size` pixels. Bicubic;
    beyond the crop its outermost pixels are repeated.
    """
    crop = images.shape[-1]
    view = canvas.resized(size)
    matrix = images.new_tensor(view.frame_from_crop)
    ticks = torch.arange(size, device=images.device) + 0.5
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    places = torch.stack([x, y], -1) @ matrix[:2, :2].T + matrix[:2, 2]
    grid = (places * (2 / crop) - 1)[None].expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)


def opaque(colours: Tensor, planes: int) -> Tensor:
    """Colours (B, 3, H, W) with further planes of ones."""
    return F.pad(colours, (0, 0, 0, 0, 0, planes - 3), value=1.0)
