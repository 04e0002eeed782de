"""From the pictures of a batch to the records of its pairs."""

import numpy as np
import torch
from torch import Tensor

from reenact.data.clips import Clip
from reenact.evaluation.angles import angle_difference_deg
from reenact.evaluation.measuring.comparison import Comparison, Reading
from reenact.evaluation.measuring.formulas import csim
from reenact.evaluation.measuring.judges import Judges
from reenact.evaluation.measuring.metrics import BY_NAME, LEAST_REGION, PAIR_METRICS, Metric
from reenact.evaluation.measuring.pooled import TRACES
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.methods.batches import REGIONS, Batch
from reenact.evaluation.pairing.pairs import Pair
from reenact.evaluation.readers import FaceReading


@torch.inference_mode()
def measure(
    batch: Batch, images: dict[str, Tensor], clips: dict[str, Clip], judges: Judges
) -> tuple[list[Record], np.ndarray]:
    """The records of a batch, and rows of features (B, W) in the order of `feature_columns`.

    The same judges read all variants and the reference. Where a pair has no true picture, the
    reference is the target. Only pose, expression and gaze are then compared with it.
    """
    device = next(iter(images.values())).device
    references, regions = batch.reference.to(device), batch.regions.to(device)
    # A user sees 8 bits. All variants are rounded to 8 bits in the same way before measuring.
    shown = {name: _quantised(image) for name, image in images.items()}
    source = _read_sources(batch, judges)
    faces = {
        name: source if name == "copy_source" else judges.reader.read(image)
        for name, image in shown.items()
    }
    reference = judges.reader.read(references)
    has_truth = [pair.has_truth for pair in batch.pairs]

    def compare(prediction: Tensor, face: FaceReading) -> Comparison:
        return Comparison(
            prediction=prediction,
            reference=references,
            face=face,
            reference_face=reference,
            source_face=source,
            effnet=judges.effnet,
            lpips=judges.lpips,
            regions=regions,
        )

    variants = {
        name: readings(compare(image, faces[name]), has_truth) for name, image in shown.items()
    }
    truth = readings(compare(references, reference), has_truth, (BY_NAME["csim"],))
    for row, true in zip(truth, has_truth, strict=True):
        if not true:
            row["csim"] = None  # this is the target, another person: see target_csim
    strangers = _target_csim(batch, reference, source, judges)
    records = [
        {
            "key": pair.key,
            "mode": pair.mode,
            "video": pair.video,
            "person": clips[pair.source_clip].person,
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


def readings(
    comparison: Comparison, has_truth: list[bool], metrics: tuple[Metric, ...] = PAIR_METRICS
) -> list[Reading]:
    """The numbers of B pictures: `found`, the metrics and the traces.

    A number is None where the pair lacks something that the metric needs.
    """
    there = {
        "truth": has_truth,
        "face": comparison.face.found.tolist(),
        "reference_face": comparison.reference_face.found.tolist(),
        "source_face": comparison.source_face.found.tolist(),
        "lpips": [comparison.lpips is not None] * len(has_truth),
    }
    shares = comparison.regions.mean((2, 3)) > LEAST_REGION
    there |= {f"{name}_region": shares[:, k].tolist() for k, name in enumerate(REGIONS)}
    rows: list[Reading] = [{"found": found} for found in there["face"]]
    for metric in metrics:
        assert metric.pair is not None
        is_known = [all(there[need][i] for need in metric.needs) for i in range(len(rows))]
        if any(is_known):
            _add(rows, metric.name, metric.pair(comparison), is_known)
        else:
            _add(rows, metric.name, torch.zeros(len(rows)), is_known)
    for name, trace in TRACES.items():
        _add(rows, name, trace(comparison.face), there["face"])
    return rows


def feature_columns(variants: list[str], widths: dict[str, int]) -> dict[tuple[str, str], slice]:
    """Which columns of a row of features belong to (picture, network)."""
    columns, start = {}, 0
    for picture in (*variants, "reference"):
        for name, width in widths.items():
            columns[picture, name] = slice(start, start + width)
            start += width
    return columns


def _add(rows: list[Reading], name: str, values: Tensor, is_known: list[bool]) -> None:
    for row, value, known in zip(rows, values.float().cpu().tolist(), is_known, strict=True):
        row[name] = round(value, 6) if known else None


def _read_sources(batch: Batch, judges: Judges) -> FaceReading:
    """The faces of the sources. A source that several pairs share is read once."""
    keys = [(pair.source_clip, pair.source_frame) for pair in batch.pairs]
    first = {key: keys.index(key) for key in keys}
    place = {key: i for i, key in enumerate(first)}
    sources = judges.reader.read(_quantised(batch.source[list(first.values())]))
    return sources[[place[key] for key in keys]]


def _target_csim(
    batch: Batch, reference: FaceReading, source: FaceReading, judges: Judges
) -> list[float | None]:
    """csim of target and source in the cross pairs. None for other pairs and lost faces."""
    result: list[float | None] = [None] * len(batch.pairs)
    cross = [i for i, pair in enumerate(batch.pairs) if pair.mode == "cross"]
    unread = [i for i in cross if batch.pairs[i].has_truth]
    read = judges.reader.read(batch.target[unread]) if unread else None
    parts = [(unread, read), ([i for i in cross if i not in unread], reference)]
    for rows, faces in parts:
        if not rows or faces is None:
            continue
        target = faces if faces is read else faces[rows]
        cosine = csim(target.identity, source[rows].identity)
        for i, value, ok in zip(rows, cosine.tolist(), target.found.tolist(), strict=True):
            result[i] = round(value, 6) if ok and source.found[i] else None
    return result


def _quantised(image: Tensor) -> Tensor:
    return ((image.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def _yaw_change_deg(pair: Pair, clips: dict[str, Clip]) -> float:
    """How far the head turns from source to target by the clips' parameters, in degrees."""
    source = clips[pair.source_clip].params[pair.source_frame].head_angles_deg()
    target = clips[pair.target_clip].params[pair.target_frame].head_angles_deg()
    return round(float(angle_difference_deg(target, source)[0, 0]), 4)
