"""What is measured, on disk as it comes: one record and one row of features a pair."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reenact.errors import UserError

# {"key", "mode", "video", "has_truth", "yaw_change_deg", "target_csim", "reference": reading,
# "variants": {…: reading}, "features": [rank, row]}; a reading holds found, the values of the
# columns (None without a face) and the traces.
Record = dict[str, Any]


class ResultFiles:
    """The results of one setting. Every process appends to files of its own and reads all.

    Each record is a JSON line. A line cut short by a crash is dropped on reading; its pair is
    simply measured again. `width`: length of a row of features.
    """

    def __init__(self, folder: Path, name: str, width: int, rank: int = 0) -> None:
        self.folder, self.name, self.width, self.rank = folder, name, width, rank
        self.records_path = folder / f"records-{name}.{rank}.jsonl"

    def read(self) -> dict[str, Record]:
        """All complete records by key. This process's own file is mended if its end is broken."""
        records: dict[str, Record] = {}
        for path in sorted(self.folder.glob(f"records-{self.name}.*.jsonl")):
            own, broken = [], False
            for line in path.read_text().splitlines():
                try:
                    record = json.loads(line)
                    records[record["key"]] = record
                    own.append(line + "\n")
                except (ValueError, KeyError, TypeError):
                    broken = True
            if broken and path == self.records_path:
                temporary = path.with_suffix(".tmp")
                temporary.write_text("".join(own))
                temporary.replace(path)
        return records

    def count(self) -> int:
        """Lines in all files, for a quick look whether the others are done."""
        paths = self.folder.glob(f"records-{self.name}.*.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in paths)

    def append(self, records: Sequence[Record], features: np.ndarray) -> None:
        """Adds records and their features (B, width) and hands both to the system.

        The features go first, so that no record points at a row that is not there. Raises
        UserError.
        """
        path = self._features_path(self.rank)
        row_bytes = 4 * self.width
        try:
            with path.open("ab") as file:
                # A row cut short by a crash has no record; the next one takes its place.
                file.truncate(file.tell() - file.tell() % row_bytes)
                first = file.seek(0, 2) // row_bytes
                file.write(features.astype("<f4").tobytes())
            with self.records_path.open("a") as lines:
                for i, record in enumerate(records):
                    place = {"features": [self.rank, first + i]}
                    lines.write(json.dumps(record | place) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot write ({error.strerror})") from None

    def features(self, records: Sequence[Record], columns: slice = slice(None)) -> np.ndarray:
        """(N, W) float32: these columns of the records. Raises UserError when a file is gone or
        cut.
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
        return self.folder / f"features-{self.name}.{rank}.f32"
