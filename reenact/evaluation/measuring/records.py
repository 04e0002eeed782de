"""The measured numbers on disk: one record and one row of features for each pair."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reenact.errors import UserError
from reenact.files import atomic_output

Record = dict[str, Any]
"""{"key", "mode", "video", "person", "has_truth", "yaw_change_deg", "target_csim", "features",
"reference": reading, "variants": {name: reading}}. A reading is a `comparison.Reading`. `features`
is the place of the features: [rank, row].
"""


class ResultFiles:
    """The results of one method. Each process appends to its own files and reads all files.

    Each record is one JSON line. A crash can cut a line short. Such a line is dropped when it is
    read, and its pair is measured again. width: length of a row of features.
    """

    def __init__(self, folder: Path, width: int, rank: int = 0) -> None:
        self.folder, self.width, self.rank = folder, width, rank
        self.records_path = folder / f"records.{rank}.jsonl"

    def read(self) -> dict[str, Record]:
        """All complete records by key. A broken end of this process's own file is repaired."""
        records: dict[str, Record] = {}
        for path in sorted(self.folder.glob("records.*.jsonl")):
            own, broken = [], False
            for line in path.read_text().splitlines():
                try:
                    record = json.loads(line)
                    records[record["key"]] = record
                    own.append(line + "\n")
                except (ValueError, KeyError, TypeError):
                    broken = True
            if broken and path == self.records_path:
                with atomic_output(path) as temporary:
                    temporary.write_text("".join(own))
        return records

    def count(self) -> int:
        """The number of lines in all files: a fast check whether the others are done."""
        paths = self.folder.glob("records.*.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in paths)

    def append(self, records: Sequence[Record], features: np.ndarray) -> None:
        """Write records and their features (B, width). Raises UserError.

        The features are written first, so that no record points at a missing row.
        """
        path = self._features_path(self.rank)
        row_bytes = 4 * self.width
        try:
            with path.open("ab") as file:
                # A row that a crash cut short has no record. The next row takes its place.
                file.truncate(file.tell() - file.tell() % row_bytes)
                first = file.seek(0, 2) // row_bytes
                file.write(features.astype("<f4").tobytes())
            with self.records_path.open("a") as lines:
                for i, record in enumerate(records):
                    place = {"features": [self.rank, first + i]}
                    lines.write(json.dumps(record | place) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot write ({error.strerror or error})") from None

    def features(self, records: Sequence[Record], columns: slice = slice(None)) -> np.ndarray:
        """These columns of the records' features, (N, W) float32.

        Raises UserError when a file is missing or too short.
        """
        width = len(range(self.width)[columns])
        result = np.empty((len(records), width), np.float32)
        for rank in sorted({record["features"][0] for record in records}):
            path = self._features_path(rank)
            chosen = [i for i, record in enumerate(records) if record["features"][0] == rank]
            try:
                stored = np.memmap(path, "<f4", "r").reshape(-1, self.width)
                result[chosen] = stored[[records[i]["features"][1] for i in chosen], columns]
            except (OSError, ValueError, IndexError) as error:
                raise UserError(
                    f"{path}: does not fit its records ({error}), delete the output and run again"
                ) from None
        return result

    def _features_path(self, rank: int) -> Path:
        return self.folder / f"features.{rank}.f32"
