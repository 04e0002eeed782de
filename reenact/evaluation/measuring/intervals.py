"""Confidence intervals of means, and of paired differences between two methods.

The pairs of one person are not independent. Therefore whole people are drawn with replacement
(cluster bootstrap; a person counts by the source frames), and the interval runs from the 2.5th to
the 97.5th percentile of the means of the draws. The draws are seeded: the same records give the
same intervals.
"""

from collections.abc import Sequence

import numpy as np

from reenact.evaluation.measuring.metrics import PAIR_METRICS
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.pairing.pairs import MODES

NUM_DRAWS = 2000
SEED = 0
PERCENTILES = (2.5, 97.5)
LEAST_PEOPLE = 5
"""With fewer people an interval says nothing: few different draws exist."""

Interval = list[float]
"""The mean (or mean difference), the lower and the upper end."""
Intervals = dict[str, dict[str, dict[str, Interval]]]
"""By mode, row of the table and metric."""


def bootstrap(values: Sequence[float | None], people: Sequence[str]) -> Interval | None:
    """Mean and interval of values (N,); unknown values are left out.

    people: the person of each value. None with fewer than LEAST_PEOPLE people.
    """
    names = sorted(set(people))
    places = {name: i for i, name in enumerate(names)}
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    for value, person in zip(values, people, strict=True):
        if value is not None:
            sums[places[person]] += value
            counts[places[person]] += 1
    sums, counts = sums[counts > 0], counts[counts > 0]
    if len(counts) < LEAST_PEOPLE:
        return None
    rng = np.random.default_rng(SEED)
    draws = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=NUM_DRAWS)
    low, high = np.percentile((draws @ sums) / (draws @ counts), PERCENTILES)
    return [round(float(x), 6) for x in (sums.sum() / counts.sum(), low, high)]


def mean_intervals(records: Sequence[Record]) -> Intervals:
    """The intervals of all pair metrics of all rows."""
    return {
        mode: {
            row: _of_metrics(part, lambda record, name, row=row: record["variants"][row].get(name))
            for row in part[0]["variants"]
        }
        for mode, part in _by_mode(records).items()
    }


def difference_intervals(records: Sequence[Record], row: str) -> Intervals:
    """Each other row minus `row`, pair by pair. Pairs that one of the two lacks are left out."""

    def difference(record: Record, other: str, name: str) -> float | None:
        a, b = (record["variants"][key].get(name) for key in (other, row))
        return None if a is None or b is None else a - b

    return {
        mode: {
            other: _of_metrics(
                part, lambda record, name, other=other: difference(record, other, name)
            )
            for other in part[0]["variants"]
            if other != row
        }
        for mode, part in _by_mode(records).items()
    }


def _of_metrics(records, value) -> dict[str, Interval]:  # type: ignore[no-untyped-def]
    people = [record["person"] for record in records]
    found = {
        metric.name: bootstrap([value(record, metric.name) for record in records], people)
        for metric in PAIR_METRICS
    }
    return {name: interval for name, interval in found.items() if interval is not None}


def _by_mode(records: Sequence[Record]) -> dict[str, list[Record]]:
    parts = {mode: [r for r in records if r["mode"] == mode] for mode in MODES}
    return {mode: part for mode, part in parts.items() if part}
