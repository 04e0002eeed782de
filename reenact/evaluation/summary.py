"""From the records of single pairs to one table: means, found rates, correlations, gap closure."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reenact.errors import UserError
from reenact.evaluation import metrics
from reenact.evaluation.pairs import MODES

VARIANTS = ("ours", "copy_source", "oracle")


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
    Column("efflpips", "↓", "", 3),
)
FACE_COLUMNS = (
    Column("csim", "↑", "", 3),
    Column("apd", "↓", "°", 2),
    Column("aed", "↓", "× 100", 2),
    Column("gaze_error", "↓", "°", 2),
    Column("nme", "↓", "%", 2),
)
FOUND_COLUMN = Column("found", "↑", "%", 1)
TRACES = ("yaw", "pitch", "jaw", "blink")  # read from every face, correlated over all pairs
CORRELATION_COLUMNS = tuple(Column(f"{trace}_correlation", "↑", "", 3) for trace in TRACES)
COLUMNS = (*IMAGE_COLUMNS, *FACE_COLUMNS, FOUND_COLUMN, *CORRELATION_COLUMNS)
GAP_NAMES = ("l1", "efflpips")

# {"key", "mode", "yaw_change_deg", "target_csim", "reference": reading, "variants": {…: reading}};
# a reading holds found, the values of the columns (None without a face) and the traces.
Record = dict[str, Any]


class RecordFile:
    """Records of measured pairs, one JSON line each, appended as they come.

    A line cut short by a crash is dropped on reading; its pair is simply measured again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Record]:
        """All complete records by key; the file is rewritten without a broken last line."""
        if not self.path.exists():
            return {}
        records, broken = {}, False
        for line in self.path.read_text().splitlines():
            try:
                record = json.loads(line)
                records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                broken = True
        if broken:
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text("".join(json.dumps(record) + "\n" for record in records.values()))
            temporary.replace(self.path)
        return records

    def append(self, records: list[Record]) -> None:
        """Adds records and hands them to the disk before returning. Raises UserError."""
        try:
            with self.path.open("a") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)
        except OSError as error:
            raise UserError(f"{self.path}: cannot write ({error.strerror})") from None


def summarise(records: list[Record]) -> dict[str, Any]:
    """{"self": {variant: {column: number or None}}, "cross": …, "reference": …, "gap_closure": …}.

    Means of face columns run over the pairs where both faces were found; `found` says how many
    per cent of a variant's pictures that left.
    """
    summary: dict[str, Any] = {}
    for mode in MODES:
        of_mode = [record for record in records if record["mode"] == mode]
        if of_mode:
            summary[mode] = {name: _summarise_variant(of_mode, name) for name in VARIANTS}
    present = [mode for mode in MODES if mode in summary]
    summary["reference"] = {
        mode: _summarise_reference([r for r in records if r["mode"] == mode]) for mode in present
    }
    summary["gap_closure"] = {
        mode: {
            name: _round(
                metrics.gap_closure(
                    summary[mode]["copy_source"][name],
                    summary[mode]["ours"][name],
                    summary[mode]["oracle"][name],
                )
            )
            for name in GAP_NAMES
        }
        for mode in present
    }
    return summary


def _summarise_variant(records: list[Record], variant: str) -> dict[str, float | None]:
    readings = [record["variants"][variant] for record in records]
    row = {
        column.name: _mean([reading[column.name] for reading in readings])
        for column in (*IMAGE_COLUMNS, *FACE_COLUMNS)
    }
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
    """What the rendered truth itself scores, and in cross pairs the target's csim with the source.

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
