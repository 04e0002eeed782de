"""From the pictures of a batch to the records of its pairs."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.data.clips import Clip
from reenact.evaluation import metrics
from reenact.evaluation.angles import angle_difference_deg
from reenact.evaluation.judges import Judges
from reenact.evaluation.pairs import Pair
from reenact.evaluation.reading import FaceReading, measure_faces, measure_images
from reenact.evaluation.render import Batch
from reenact.evaluation.results import Record


@torch.inference_mode()
def measure(
    batch: Batch, images: dict[str, Tensor], clips: dict[str, Clip], judges: Judges
) -> tuple[list[Record], np.ndarray]:
    """The records of a batch, and rows of features (B, W) in the order of `feature_columns`.

    All variants and the reference are read by the same judges. Pairs without a true picture are
    compared with the target: only pose, expression and gaze, and nothing that depends on the face.
    """
    device = images["ours"].device
    references = batch.reference.to(device)
    # What a user sees is 8 bits deep; measuring that keeps rounding the same for all variants.
    shown = {name: _quantised(image) for name, image in images.items()}
    source = _read_sources(batch, judges)
    reading = {
        name: source if name == "copy_source" else judges.reader.read(image)
        for name, image in shown.items()
    }
    reference = judges.reader.read(references)
    has_truth = [pair.has_truth for pair in batch.pairs]
    variants = {
        name: _readings(
            measure_images(image, references, judges.perceptual, judges.lpips),
            measure_faces(reading[name], reference, source),
            has_truth,
        )
        for name, image in shown.items()
    }
    truth = _readings([{}] * len(has_truth), measure_faces(reference, reference, source), has_truth)
    for row, true in zip(truth, has_truth, strict=True):
        if not true:
            row["csim"] = None  # that of the target, another person: see target_csim
    strangers = _target_csim(batch, reference, source, judges)
    records = [
        {
            "key": pair.key,
            "mode": pair.mode,
            "video": pair.video,
            "has_truth": pair.has_truth,
            "yaw_change_deg": _yaw_change_deg(pair, clips),
            "target_csim": strangers[i],
            "reference": truth[i],
            "variants": {name: rows[i] for name, rows in variants.items()},
        }
        for i, pair in enumerate(batch.pairs)
    ]
    pictures = [*shown.values(), references]
    features = [extract(image) for image in pictures for extract in judges.extractors.values()]
    return records, torch.cat(features, 1).float().cpu().numpy()


def feature_columns(variants: list[str], widths: dict[str, int]) -> dict[tuple[str, str], slice]:
    """Where the features (picture, extractor) of a pair lie in its row."""
    columns, start = {}, 0
    for picture in (*variants, "reference"):
        for name, width in widths.items():
            columns[picture, name] = slice(start, start + width)
            start += width
    return columns


def _read_sources(batch: Batch, judges: Judges) -> FaceReading:
    """Pairs of one source stand together; its picture is read once."""
    keys = [(pair.source_clip, pair.source_frame) for pair in batch.pairs]
    first = {key: keys.index(key) for key in keys}
    place = {key: i for i, key in enumerate(first)}
    sources = judges.reader.read(_quantised(batch.source[list(first.values())]))
    return sources[[place[key] for key in keys]]


def _target_csim(
    batch: Batch, reference: FaceReading, source: FaceReading, judges: Judges
) -> list[float | None]:
    """csim of target and source in the cross pairs; None for other pairs and lost faces."""
    result: list[float | None] = [None] * len(batch.pairs)
    cross = [i for i, pair in enumerate(batch.pairs) if pair.mode == "cross"]
    unread = [i for i in cross if batch.pairs[i].has_truth]
    read = judges.reader.read(batch.target[unread]) if unread else None
    parts = [(unread, read), ([i for i in cross if i not in unread], reference)]
    for rows, faces in parts:
        if not rows or faces is None:
            continue
        target = faces if faces is read else faces[rows]
        cosine = metrics.csim(target.identity, source[rows].identity)
        for i, value, ok in zip(rows, cosine.tolist(), target.found.tolist(), strict=True):
            result[i] = round(value, 6) if ok and source.found[i] else None
    return result


def _readings(
    pictures: list[dict[str, Any]], faces: list[dict[str, Any]], has_truth: list[bool]
) -> list[dict[str, Any]]:
    """Picture and face measures of each pair; None for what only a true picture could tell."""
    rows = []
    for picture, face, true in zip(pictures, faces, has_truth, strict=True):
        row = picture | face
        if not true:
            row |= dict.fromkeys((*picture, "nme"), None)
        rows.append({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})
    return rows


def _quantised(image: Tensor) -> Tensor:
    return ((image.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def _yaw_change_deg(pair: Pair, clips: dict[str, Clip]) -> float:
    """How far the head turns from source to target, by the clips' parameters, in degrees."""
    source = clips[pair.source_clip].params[pair.source_frame].head_angles_deg()
    target = clips[pair.target_clip].params[pair.target_frame].head_angles_deg()
    return round(float(angle_difference_deg(target, source)[0, 0]), 4)
