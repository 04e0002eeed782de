"""Brows in videos. The tracker's scores show only a part of how far brows move."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.face.expressions import EXPRESSION_NAMES

BROW_GAINS = {"browInnerUp": 4.0, "browOuterUp": 3.5, "browDown": 3.5}
"""How much farther brows move than their scores say. `tools/calibrate_brows.py` measures it on
rendered heads: a whole movement changes the scores by .18, .26 and .25. The gains are a little
smaller than the inverse, because they also amplify noise.
"""
_GAINS = torch.tensor(
    [next((g for k, g in BROW_GAINS.items() if n.startswith(k)), 0.0) for n in EXPRESSION_NAMES]
)


def with_whole_brows(expression: Tensor, scores: Tensor, usual: Tensor) -> Tensor:
    """Expressions (N, 52) of one person's frames in which brows move as far as the person's do.

    expression: as they were fitted. scores: (N, 52), the tracker's. usual: (K,) the numbers of
    frames that show the person. Their medians are the brows at rest: scores at rest differ between
    people by as much as a movement changes them, so single pictures cannot be corrected. All other
    expressions stay as they are.
    """
    gains = _GAINS.to(expression)
    scores = scores.to(expression)
    rest = expression[usual].median(0).values
    moved = rest + gains * (scores - scores[usual].median(0).values)
    return torch.where(gains > 0, moved.clamp(0, 1), expression)
