"""From the pictures of a batch to the records of its pairs."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reenact.evaluation import metrics
from reenact.evaluation.pairs import Clip, Pair
from reenact.evaluation.reading import (
    FaceReader,
    FaceReading,
    PerceptualDistance,
    measure_faces,
    measure_images,
)
from reenact.evaluation.render import Batch
from reenact.evaluation.summary import VARIANTS, Record


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The networks that measure: faces in pictures and the distance of pictures."""

    reader: FaceReader
    perceptual: PerceptualDistance


@torch.inference_mode()
def measure(
    batch: Batch, images: dict[str, Tensor], clips: dict[str, Clip], judges: Judges
) -> list[Record]:
    """The records of a batch: all variants and the reference, read by the same judges."""
    device = images["ours"].device
    references = batch.reference.to(device)
    # What a user sees is 8 bits deep; measuring that keeps rounding the same for all variants.
    shown = {name: _quantised(image) for name, image in images.items()}
    # Pairs of one source stand together; its picture is read once.
    keys = [(pair.source_clip, pair.source_frame) for pair in batch.pairs]
    first = {key: keys.index(key) for key in keys}
    place = {key: i for i, key in enumerate(first)}
    sources = judges.reader.read(shown["copy_source"][list(first.values())])
    source = sources[[place[key] for key in keys]]
    reading = {
        name: source if name == "copy_source" else judges.reader.read(image)
        for name, image in shown.items()
    }
    reference = judges.reader.read(references)
    pictures = {
        name: measure_images(image, references, judges.perceptual) for name, image in shown.items()
    }
    faces = {name: measure_faces(reading[name], reference, source) for name in shown}
    truth = measure_faces(reference, reference, source)
    strangers = _target_csim(batch, source, judges.reader)
    return [
        {
            "key": pair.key,
            "mode": pair.mode,
            "yaw_change_deg": _yaw_change_deg(pair, clips),
            "target_csim": strangers[i],
            "reference": _rounded(truth[i]),
            "variants": {name: _rounded(pictures[name][i] | faces[name][i]) for name in VARIANTS},
        }
        for i, pair in enumerate(batch.pairs)
    ]


def _target_csim(batch: Batch, source: FaceReading, reader: FaceReader) -> list[float | None]:
    """csim of target and source in the cross pairs; None for self pairs and lost faces."""
    rows = [i for i, pair in enumerate(batch.pairs) if pair.mode == "cross"]
    result: list[float | None] = [None] * len(batch.pairs)
    if rows:
        target = reader.read(batch.target[rows].to(source.identity.device))
        cosine = metrics.csim(target.identity, source[rows].identity)
        for i, value, ok in zip(rows, cosine.tolist(), target.found.tolist(), strict=True):
            result[i] = round(value, 6) if ok and source.found[i] else None
    return result


def _quantised(image: Tensor) -> Tensor:
    return ((image.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def _yaw_change_deg(pair: Pair, clips: dict[str, Clip]) -> float:
    """How far the head turns from source to truth, by the rendered parameters, in degrees."""
    source = clips[pair.source_clip].params.rotation[pair.source_frame, 0]
    target = clips[pair.target_clip].params.rotation[pair.target_frame, 0]
    return round(float(torch.rad2deg((target - source).abs())), 4)


def _rounded(reading: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in reading.items()}
