"""Numbers of all pairs of a mode together: shares, Fréchet distances and correlations.

A function gives None where the pairs are too few, or where a network is missing.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from reenact.evaluation.measuring.comparison import Pool
from reenact.evaluation.measuring.formulas import correlation
from reenact.evaluation.measuring.frechet import frechet_distance, video_features
from reenact.evaluation.readers import FaceReading
from reenact.face.expressions import BLINKS, JAW

TRACES: dict[str, Callable[[FaceReading], Tensor]] = {
    "yaw": lambda face: torch.rad2deg(face.rotation[:, 0]),
    "pitch": lambda face: torch.rad2deg(face.rotation[:, 1]),
    "jaw": lambda face: face.expression[:, JAW],
    "blink": lambda face: face.expression[:, BLINKS].mean(1),
}
"""Values (B,) that are read from every face and correlated over all pairs."""


def found_rate(pool: Pool) -> float | None:
    """Share ↑ of the pictures in which a face was found, in per cent."""
    found = [100.0 * reading["found"] for reading in pool.readings]
    return sum(found) / len(found) if found else None


def picture_distance(pool: Pool, network: str) -> float | None:
    """Fréchet distance ↓ of the features of single pictures."""
    features = pool.features(network)
    return None if features is None else frechet_distance(*features)


def video_distance(pool: Pool, network: str) -> float | None:
    """Fréchet distance ↓ of `video_features`, from the videos with at least two measured frames."""
    features = pool.features(network)
    rows = [list(video) for video in pool.videos if len(video) > 1]
    if features is None or len(rows) < 2:
        return None
    a, b = (torch.stack([video_features(part[r]) for r in rows]) for part in features)
    return frechet_distance(a, b)


def window_distance(pool: Pool) -> float | None:
    """Fréchet distance ↓ of I3D features of whole windows of frames; None below two windows."""
    features = pool.clip_features()
    return None if features is None or len(features[0]) < 2 else frechet_distance(*features)


def trace_correlation(pool: Pool, trace: str) -> float | None:
    """Correlation ↑ over the pairs in which both faces were found."""
    both = [
        (reading[trace], reference[trace])
        for reading, reference in zip(pool.readings, pool.references, strict=True)
        if reading["found"] and reference["found"]
    ]
    return correlation(torch.tensor([x for x, _ in both]), torch.tensor([y for _, y in both]))
