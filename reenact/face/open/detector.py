"""Finds faces with MediaPipe's short-range detector: in whole pictures, and in tiles of them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact.face.graph import StaticGraph

SIDE = 128  # the net's input
BOX_TO_ROI = 1.5  # side of the landmark net's square over the side of the detected box
_MIN_SCORE = 0.5
_SAME_FACE_IOU = 0.3
_TILE_STRIDE = SIDE // 2
_LARGEST_IN_TILE = 80  # px of the tile; the level above shows larger faces whole
_TILES_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Possible faces of one picture, best first. All in picture pixels."""

    boxes: Tensor  # (N, 4) centre x, centre y, width, height
    eyes: Tensor  # (N, 2, 2) the eye on the picture's left first
    scores: Tensor  # (N,) in [0, 1]

    def __len__(self) -> int:
        return len(self.scores)

    def rois(self) -> Tensor:
        """(N, 4) squares for the landmark net: centre x, centre y, side, angle of the eye line."""
        across = self.eyes[:, 1] - self.eyes[:, 0]
        angle = torch.atan2(across[:, 1], across[:, 0])
        side = BOX_TO_ROI * self.boxes[:, 2:].amax(1)
        return torch.cat([self.boxes[:, :2], side[:, None], angle[:, None]], 1)


def _anchors() -> Tensor:
    """(896, 2) anchor centres in [0, 1]: 2 per cell of the 16² grid, 6 per cell of the 8² grid."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        ticks = (torch.arange(cells) + 0.5) / cells
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        grids.append(
            torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, repeats, 2).reshape(-1, 2)
        )
    return torch.cat(grids)


def _overlap(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of a box (4,) with boxes (N, 4), each given by centre and size."""
    low = torch.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    high = torch.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    common = (high - low).clamp_min(0).prod(1)
    return common / (box[2:].prod() + boxes[:, 2:].prod(1) - common).clamp_min(1e-9)


def merge_candidates(raw: Candidates) -> Candidates:
    """Weighted non-maximum suppression: overlapping boxes become their score-weighted mean.

    The result is ordered by width × score, so the largest confident face comes first.
    """
    values = torch.cat([raw.boxes, raw.eyes.flatten(1)], 1)
    scores, rest = raw.scores, torch.arange(len(raw), device=raw.scores.device)
    merged, best = [], []
    while len(rest):
        top = rest[scores[rest].argmax()]
        same = _overlap(raw.boxes[top], raw.boxes[rest]) > _SAME_FACE_IOU
        same |= rest == top
        group = rest[same]
        weight = scores[group, None]
        merged.append((values[group] * weight).sum(0) / weight.sum())
        best.append(scores[top])
        rest = rest[~same]
    if not merged:
        return raw
    faces, confidence = torch.stack(merged), torch.stack(best)
    order = (faces[:, 2] * confidence).argsort(descending=True)
    faces, confidence = faces[order], confidence[order]
    return Candidates(boxes=faces[:, :4], eyes=faces[:, 4:].unflatten(1, (2, 2)), scores=confidence)


class FaceDetector(nn.Module):
    """The 128-px detector with its anchors.

    It works on images (B, 3, H, W) in [-1, 1], without gradients.
    """

    anchors: Tensor

    def __init__(self, graph: StaticGraph) -> None:
        super().__init__()
        self.graph = graph
        self.register_buffer("anchors", _anchors(), persistent=False)

    @torch.no_grad()
    def whole(self, images: Tensor, margin: float = 0.0) -> list[Candidates]:
        """Candidates of each whole picture, which is letterboxed.

        A margin (a share of the side) helps with faces that fill the picture.
        """
        inner = round(SIDE / (1 + 2 * margin))
        small, scale = _shrink(images, inner)
        left, top = (SIDE - small.shape[-1]) // 2, (SIDE - small.shape[-2]) // 2
        right, bottom = SIDE - small.shape[-1] - left, SIDE - small.shape[-2] - top
        boxed = F.pad(small, (left, right, top, bottom), value=-1.0)
        offsets = images.new_tensor([left, top]).expand(len(images), 2)
        return [merge_candidates(c) for c in self._decode(boxed, -offsets, scale, SIDE)]

    @torch.no_grad()
    def tiles(self, image: Tensor, level: int) -> Candidates:
        """Candidates of one picture (1, 3, H, W), searched in tiles that overlap by half.

        A tile's side is 1 / 2^level of the picture's long side.
        """
        scaled, scale = _shrink(image, SIDE << level)
        height, width = scaled.shape[-2:]
        scaled = F.pad(scaled, (0, max(SIDE - width, 0), 0, max(SIDE - height, 0)), value=-1.0)
        corners = [(x, y) for y in _starts(scaled.shape[-2]) for x in _starts(scaled.shape[-1])]
        found: list[Candidates] = []
        for i in range(0, len(corners), _TILES_AT_ONCE):
            some = corners[i : i + _TILES_AT_ONCE]
            batch = torch.cat([scaled[..., y : y + SIDE, x : x + SIDE] for x, y in some])
            found += self._decode(batch, image.new_tensor(some), scale, _LARGEST_IN_TILE)
        return merge_candidates(
            Candidates(
                boxes=torch.cat([c.boxes for c in found]),
                eyes=torch.cat([c.eyes for c in found]),
                scores=torch.cat([c.scores for c in found]),
            )
        )

    def _decode(
        self, tiles: Tensor, corners: Tensor, scale: Tensor, largest: float
    ) -> list[Candidates]:
        """Raw candidates per tile, in picture pixels: (tile pixel + corner) * scale."""
        regressors, logits = self.graph(tiles)
        scores = torch.sigmoid(logits[..., 0].clamp(-100, 100))
        centres = regressors[..., 0:2] + self.anchors * SIDE
        sizes = regressors[..., 2:4]
        eyes = regressors[..., 4:8].unflatten(-1, (2, 2)) + self.anchors[:, None] * SIDE
        keep = (scores > _MIN_SCORE) & (sizes.amax(-1) <= largest) & (sizes.amin(-1) > 0)
        result = []
        for i, kept in enumerate(keep):
            box = torch.cat([(centres[i, kept] + corners[i]) * scale, sizes[i, kept] * scale], 1)
            eye = (eyes[i, kept] + corners[i]) * scale
            result.append(Candidates(boxes=box, eyes=eye, scores=scores[i, kept]))
        return result


def _starts(length: int) -> list[int]:
    return [*range(0, length - SIDE, _TILE_STRIDE), length - SIDE]


def _shrink(images: Tensor, long_side: int) -> tuple[Tensor, Tensor]:
    """Resizes to a long side. Also returns (2,): picture pixels per new pixel, along x and y."""
    height, width = images.shape[-2:]
    factor = long_side / max(height, width)
    size = (max(round(height * factor), 1), max(round(width * factor), 1))
    small = F.interpolate(
        images.float(), size, mode="bilinear", antialias=True, align_corners=False
    )
    return small, images.new_tensor([width / size[1], height / size[0]], dtype=torch.float32)
