"""What the tracker and the identity net see in a batch of images, and the measures built on it."""

from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from reenact.evaluation import metrics
from reenact.face.expressions import BLINKS, JAW


@dataclass(frozen=True, kw_only=True)
class FaceReading:
    """Faces read from B images; rows where `found` is false mean nothing."""

    found: Tensor  # (B,) bool
    rotation: Tensor  # (B, 3) radians
    expression: Tensor  # (B, 52) in [0, 1]
    gaze: Tensor  # (B, 2) radians, relative to the head
    landmarks: Tensor  # (B, 68, 2) pixels
    identity: Tensor  # (B, D) unit embeddings

    def __getitem__(self, rows: list[int]) -> "FaceReading":
        """The chosen faces, in the order of `rows`."""
        return FaceReading(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


class FaceReader(Protocol):
    """Anything that reads faces from images (B, 3, H, W) in [-1, 1]."""

    def read(self, images: Tensor) -> FaceReading: ...


class PerceptualDistance(Protocol):
    """The `efflpips` network: images (B, 3, H, W) in [-1, 1], twice, to (B,)."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor: ...


def measure_images(
    prediction: Tensor,
    reference: Tensor,
    perceptual: PerceptualDistance,
    lpips: PerceptualDistance | None = None,
) -> list[dict[str, float]]:
    """The picture measures of B pairs, one dict a pair; `lpips` only with such a network."""
    columns = {
        "l1": metrics.l1(prediction, reference),
        "psnr": metrics.psnr(prediction, reference),
        "ssim": metrics.ssim(prediction, reference),
        "efflpips": perceptual.distance(prediction, reference),
    }
    if lpips is not None:
        columns["lpips"] = lpips.distance(prediction, reference)
    return _rows(columns, len(prediction))


def measure_faces(
    prediction: FaceReading, reference: FaceReading, source: FaceReading
) -> list[dict[str, float | bool | None]]:
    """The face measures of B pairs, one dict a pair: `found`, the face columns, the traces.

    Columns that need a face which was not found are None, and so are the traces.
    """
    count = len(prediction.found)
    columns = {
        "apd": metrics.apd(prediction.rotation, reference.rotation),
        "aed": metrics.aed(prediction.expression, reference.expression),
        "gaze_error": metrics.gaze_error(prediction.gaze, reference.gaze),
        "nme": metrics.nme(prediction.landmarks, reference.landmarks),
        "csim": metrics.csim(prediction.identity, source.identity),
    }
    measured, traces = _rows(columns, count), _rows(_traces(prediction), count)
    rows: list[dict[str, float | bool | None]] = []
    for i in range(count):
        found = bool(prediction.found[i])
        row: dict[str, float | bool | None] = {"found": found}
        for name in columns:
            other = source if name == "csim" else reference
            row[name] = measured[i][name] if found and bool(other.found[i]) else None
        row |= {name: value if found else None for name, value in traces[i].items()}
        rows.append(row)
    return rows


def _traces(reading: FaceReading) -> dict[str, Tensor]:
    return {
        "yaw": torch.rad2deg(reading.rotation[:, 0]),
        "pitch": torch.rad2deg(reading.rotation[:, 1]),
        "jaw": reading.expression[:, JAW],
        "blink": reading.expression[:, BLINKS].mean(1),
    }


def _rows(columns: dict[str, Tensor], count: int) -> list[dict[str, float]]:
    lists = {name: column.detach().float().cpu().tolist() for name, column in columns.items()}
    return [{name: lists[name][i] for name in lists} for i in range(count)]
