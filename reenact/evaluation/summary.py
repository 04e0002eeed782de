"""From the records of single pairs to one table: means, rates, distances of sets, gap closure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch

from reenact.evaluation import metrics
from reenact.evaluation.frechet import frechet_distance, video_features
from reenact.evaluation.pairs import MODES
from reenact.evaluation.results import Record

Variant = Literal["ours", "copy_source", "oracle"]
VARIANTS: tuple[Variant, ...] = ("ours", "copy_source", "oracle")


@dataclass(frozen=True)
class Column:
    """One number of the table: what it is called, which way is better, its unit, its digits."""

    name: str
    direction: str
    unit: str
    digits: int

    @property
    def header(self) -> str:
        return f"{self.name}{self.direction}" + (f" ({self.unit})" if self.unit else "")


IMAGE_COLUMNS = (
    Column("l1", "↓", "0 to 1", 4),
    Column("psnr", "↑", "dB", 2),
    Column("ssim", "↑", "", 3),
    Column("lpips", "↓", "", 3),
    Column("efflpips", "↓", "", 3),
)
FACE_COLUMNS = (
    Column("csim", "↑", "", 3),
    Column("apd", "↓", "°", 2),
    Column("aed", "↓", "× 100", 2),
    Column("gaze_error", "↓", "°", 2),
    Column("nme", "↓", "%", 2),
)
SET_COLUMNS = (
    Column("fid", "↓", "", 1),
    Column("fvd", "↓", "", 0),
    Column("efffid", "↓", "", 2),
    Column("effvd", "↓", "", 2),
)
FOUND_COLUMN = Column("found", "↑", "%", 1)
TRACES = ("yaw", "pitch", "jaw", "blink")  # read from every face, correlated over all pairs
CORRELATION_COLUMNS = tuple(Column(f"{trace}_correlation", "↑", "", 3) for trace in TRACES)
COLUMNS = (*IMAGE_COLUMNS, *FACE_COLUMNS, *SET_COLUMNS, FOUND_COLUMN, *CORRELATION_COLUMNS)
GAP_NAMES = ("l1", "efflpips")

SetFeatures = Callable[[Sequence[Record], str, str], np.ndarray]
"""(records, picture, extractor) to features (N, D); a picture is a variant or "reference"."""


def summarise(
    records: list[Record], features: SetFeatures | None = None, extractors: Sequence[str] = ()
) -> dict[str, Any]:
    """{mode: {variant: {column: number or None}}, …, "reference": …, "gap_closure": …}.

    Means of face columns run over the pairs where both faces were found; `found` says how many
    per cent of a variant's pictures that left. extractors: those that `features` knows.
    """
    summary: dict[str, Any] = {}
    for mode in MODES:
        of_mode = [record for record in records if record["mode"] == mode]
        if of_mode:
            summary[mode] = {
                name: _summarise_variant(of_mode, name) for name in of_mode[0]["variants"]
            }
            if features is not None:
                for name, row in summary[mode].items():
                    row |= set_distances(of_mode, name, features, extractors)
    present = [mode for mode in MODES if mode in summary]
    summary["reference"] = {
        mode: _summarise_reference([r for r in records if r["mode"] == mode]) for mode in present
    }
    summary["gap_closure"] = {
        mode: {name: _gap(summary[mode], name) for name in GAP_NAMES}
        for mode in present
        if set(VARIANTS) <= set(summary[mode])
    }
    return summary


def set_distances(
    records: Sequence[Record], variant: str, features: SetFeatures, extractors: Sequence[str]
) -> dict[str, float]:
    """The Fréchet distances of the pairs that have a true picture; empty where there are too few.

    effvd takes the pairs of a video, in the order of the target frames, as consecutive frames.
    """
    true = [record for record in records if record["has_truth"]]
    if len(true) < 2:
        return {}
    distances = {}
    for name in extractors:
        a, b = (features(true, picture, name) for picture in (variant, "reference"))
        distances[name] = round(frechet_distance(torch.from_numpy(a), torch.from_numpy(b)), 6)
        if name == "efffid":
            clips = [_by_video(true, part) for part in (a, b)]
            if len(clips[0]) > 1:
                distance = frechet_distance(*(torch.stack(part) for part in clips))
                distances["effvd"] = round(distance, 6)
    return distances


def _by_video(records: Sequence[Record], features: np.ndarray) -> list[torch.Tensor]:
    """Features of the videos of at least 2 frames."""
    rows = sorted(range(len(records)), key=lambda i: (records[i]["video"], i))
    groups = [list(g) for _, g in groupby(rows, key=lambda i: records[i]["video"])]
    return [video_features(torch.from_numpy(features[g])) for g in groups if len(g) > 1]


def _gap(table: dict[str, dict[str, float | None]], name: str) -> float | None:
    floor, ours, ceiling = (table[variant][name] for variant in ("copy_source", "ours", "oracle"))
    if floor is None or ours is None or ceiling is None:
        return None
    return _round(metrics.gap_closure(floor, ours, ceiling))


def _summarise_variant(records: list[Record], variant: str) -> dict[str, float | None]:
    readings = [record["variants"][variant] for record in records]
    row: dict[str, float | None] = {
        column.name: _mean([reading.get(column.name) for reading in readings])
        for column in (*IMAGE_COLUMNS, *FACE_COLUMNS)
    }
    row |= dict.fromkeys(column.name for column in SET_COLUMNS)
    row["found"] = _mean([100.0 * reading["found"] for reading in readings])
    both = [
        (record["variants"][variant], record["reference"])
        for record in records
        if record["variants"][variant]["found"] and record["reference"]["found"]
    ]
    for trace in TRACES:
        x = torch.tensor([prediction[trace] for prediction, _ in both])
        y = torch.tensor([reference[trace] for _, reference in both])
        row[f"{trace}_correlation"] = _round(metrics.correlation(x, y))
    return row


def _summarise_reference(records: list[Record]) -> dict[str, float | None]:
    """What the true pictures score, and in cross pairs the target's csim with the source.

    The first is the csim of a perfect result, the second that of a wrong person.
    """
    readings = [record["reference"] for record in records]
    return {
        "csim": _mean([reading["csim"] for reading in readings]),
        "target_csim": _mean([record["target_csim"] for record in records]),
        "found": _mean([100.0 * reading["found"] for reading in readings]),
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _round(sum(known) / len(known)) if known else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
