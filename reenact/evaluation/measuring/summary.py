"""From the records of single pairs to one table."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.evaluation.measuring.comparison import Pool
from reenact.evaluation.measuring.metrics import METRICS
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.pairing.pairs import MODES

SetFeatures = Callable[[Sequence[Record], str, str], np.ndarray | None]
"""(records, picture, network) to features (N, D). A picture is a variant or "reference"."""

ClipFeatures = Callable[[str, str], tuple[Tensor, Tensor] | None]
"""(mode, variant) to I3D features of the predictions and of the true pictures."""

Row = dict[str, float | None]


def summarise(
    records: list[Record],
    features: SetFeatures = lambda records, picture, network: None,
    clip_features: ClipFeatures = lambda mode, variant: None,
) -> dict[str, Any]:
    """{mode: {variant: {metric: number or None}}, …, "reference": {mode: …}}.

    Means of face metrics run over the pairs in which both faces were found. `found` says how many
    per cent of the pictures of a variant these are.
    """
    summary: dict[str, Any] = {}
    for mode in MODES:
        of_mode = [record for record in records if record["mode"] == mode]
        if of_mode:
            summary[mode] = {
                name: _row(of_mode, name, features, clip_features)
                for name in of_mode[0]["variants"]
            }
    present = [mode for mode in MODES if mode in summary]
    summary["reference"] = {
        mode: _reference_row([r for r in records if r["mode"] == mode]) for mode in present
    }
    return summary


def _row(
    records: list[Record], variant: str, features: SetFeatures, clip_features: ClipFeatures
) -> Row:
    pool = _pool(records, variant, features, clip_features)
    return {
        metric.name: mean([reading.get(metric.name) for reading in pool.readings])
        if metric.pooled is None
        else _round(metric.pooled(pool))
        for metric in METRICS
    }


def _pool(
    records: list[Record], variant: str, features: SetFeatures, clip_features: ClipFeatures
) -> Pool:
    true = [record for record in records if record["has_truth"]]

    @cache
    def both(network: str) -> tuple[Tensor, Tensor] | None:
        if len(true) < 2:
            return None
        parts = [features(true, picture, network) for picture in (variant, "reference")]
        a, b = (None if part is None else torch.from_numpy(part) for part in parts)
        return None if a is None or b is None else (a, b)

    order = sorted(range(len(true)), key=lambda i: (true[i]["video"], i))
    return Pool(
        readings=[record["variants"][variant] for record in records],
        references=[record["reference"] for record in records],
        features=both,
        videos=[list(rows) for _, rows in groupby(order, key=lambda i: true[i]["video"])],
        clip_features=lambda: clip_features(records[0]["mode"], variant),
    )


def _reference_row(records: list[Record]) -> Row:
    """The scores of the true pictures, and in cross pairs the target's csim with the source.

    The first csim is that of a perfect result, the second that of a wrong person.
    """
    references = [record["reference"] for record in records]
    return {
        "csim": mean([reference["csim"] for reference in references]),
        "target_csim": mean([record["target_csim"] for record in records]),
        "found": mean([100.0 * reference["found"] for reference in references]),
    }


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the known values, with 6 digits; None where nothing is known."""
    known = [value for value in values if value is not None]
    return _round(sum(known) / len(known)) if known else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
