"""The faces in the output maps of the S3FD detector (Zhang et al., ICCV 2017).

The centre of the first pixel is (0, 0). Boxes are (x1, y1, x2, y2) in pixels of the picture.
"""

import torch
from torch import Tensor

SMALLEST_PICTURE = 16  # px; the fourth pooling of the network leaves nothing of a smaller one
_FIRST_STRIDE = 4  # of level 0; it doubles from level to level
_ANCHOR_STRIDES = 4  # the side of an anchor, in strides of its level
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
_CANDIDATE_SCORE = 0.05
_FACE_SCORE = 0.5
_SAME_FACE_IOU = 0.3
# A box outside these limits cannot be a face, because an anchor has 16 px or more. A crop around it
# would have no pixel, or would not fit into memory.
_SMALLEST_BOX = 4.0  # px
_LARGEST_BOX = 8.0  # times the longer side of the picture


def faces(maps: list[Tensor], height: int, width: int) -> list[Tensor]:
    """The faces of each picture, after non-maximum suppression.

    Args:
        maps: the twelve outputs of the network. For each level these are the class scores before
            the softmax (B, 2, h, w), background first, and the locations (B, 4, h, w).
        height, width: of the pictures, in pixels.

    Returns:
        For each picture (N, 5) on the CPU: box and face probability, the most probable face first.
        N can be 0.
    """
    boxes, scores = _candidates(maps)
    sides = boxes[..., 2:] - boxes[..., :2]
    possible = (scores > _CANDIDATE_SCORE) & boxes.isfinite().all(-1)
    possible &= (sides.amin(-1) >= _SMALLEST_BOX) & (
        sides.amax(-1) <= _LARGEST_BOX * max(height, width)
    )
    found = []
    for box, score, kept in zip(boxes, scores, possible, strict=True):
        dets = torch.cat([box[kept], score[kept, None]], 1)
        dets = dets[suppress(dets, _SAME_FACE_IOU)]
        found.append(dets[dets[:, 4] > _FACE_SCORE])
    return found


def _candidates(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Boxes (B, N, 4) and face probabilities (B, N) of all cells of all levels, on the CPU."""
    boxes, scores = [], []
    for level, (classes, locations) in enumerate(zip(maps[::2], maps[1::2], strict=True)):
        stride = _FIRST_STRIDE << level
        anchors = _anchors(locations.shape[-2], locations.shape[-1], stride)
        cells = locations.flatten(2).transpose(1, 2)
        boxes.append(decode_boxes(cells, anchors.to(cells)))
        scores.append(classes.softmax(1)[:, 1].flatten(1))
    return torch.cat(boxes, 1).cpu(), torch.cat(scores, 1).cpu()


def _anchors(rows: int, columns: int, stride: int) -> Tensor:
    """(rows * columns, 4) squares of one level, row by row: centre x, centre y, width, height."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centres = stride / 2 + stride * torch.stack([x, y], -1).reshape(-1, 2)
    return torch.cat([centres, torch.full_like(centres, _ANCHOR_STRIDES * stride)], 1)


def decode_boxes(locations: Tensor, anchors: Tensor) -> Tensor:
    """The boxes (..., N, 4) for offsets (..., N, 4) from anchors (N, 4), given as centre, size."""
    centres = anchors[:, :2] + locations[..., :2] * _CENTRE_VARIANCE * anchors[:, 2:]
    halves = anchors[:, 2:] * torch.exp(locations[..., 2:] * _SIZE_VARIANCE) / 2
    return torch.cat([centres - halves, centres + halves], -1)


def suppress(dets: Tensor, iou: float) -> Tensor:
    """Indices of the boxes (N, 5) that greedy suppression keeps, highest score first.

    A box is dropped when it overlaps a better one by more than `iou`. The published pipeline counts
    both end pixels of a box, so a width is x2 - x1 + 1.
    """
    low, high = dets[:, :2], dets[:, 2:4] + 1
    areas = (high - low).prod(1)
    rest = dets[:, 4].argsort(descending=True, stable=True)
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        sides = torch.minimum(high[best], high[rest]) - torch.maximum(low[best], low[rest])
        common = sides.clamp_min(0).prod(1)
        rest = rest[common <= iou * (areas[best] + areas[rest] - common)]
    return torch.stack(kept) if kept else rest
