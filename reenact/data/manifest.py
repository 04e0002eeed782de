"""The Parquet manifest of prepared clips. Each row is a clip with its place in a shard."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reenact.errors import UserError
from reenact.face.factory import STACKS
from reenact.files import atomic_output

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "diffusionact-open clips 1"


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """One clip.

    shard, offset, params_size, frame_sizes: the clip's place, which `ShardWriter.add` fills in. Its
        tar members lie one after the other from byte `offset` of `shard` on: the npz of
        `params_size` bytes, then the frames of `frame_sizes` bytes.
    fps: frames a second as stored.
    num_dropped: frames that were read and have no face.
    source: path of the raw clip, relative to the raw data's root.
    """

    name: str
    person: str
    split: str
    shard: str = ""
    offset: int = 0
    params_size: int = 0
    frame_sizes: list[int] = field(default_factory=list)
    fps: float
    num_dropped: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest in memory: `table` has the columns of `ClipRow`, in the order of the shards."""

    size: int
    face: str
    table: pa.Table

    def row(self, index: int) -> ClipRow:
        values = {f.name: self.table.column(f.name)[index].as_py() for f in fields(ClipRow)}
        return ClipRow(**values)


def write_manifest(path: Path, rows: Sequence[ClipRow], *, size: int, face: str) -> None:
    """Write the manifest atomically. The same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {"format": FORMAT, "size": str(size), "face": face}
    table = pa.Table.from_pylist([asdict(row) for row in rows], _schema().with_metadata(metadata))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    with atomic_output(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_manifest(path: Path) -> Manifest:
    """Raises UserError when the file is damaged or was not written by `write_manifest`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        stored: dict[bytes, bytes] = table.schema.metadata or {}
        if stored.get(b"format") != FORMAT.encode():
            raise ValueError(f"format {stored.get(b'format')!r}")
        size, face = int(stored[b"size"]), stored[b"face"].decode()
        if face not in STACKS or not table.schema.equals(_schema()):
            raise ValueError("foreign columns")
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(
            f"{path}: not a manifest of prepared clips ({_line(error)}), "
            "delete it and run python -m reenact prepare again, which rebuilds it"
        ) from error
    return Manifest(size=size, face=face, table=table)


def _schema() -> pa.Schema:
    import pyarrow as pa

    types: dict[str, Any] = {
        "offset": pa.int64(),
        "params_size": pa.int32(),
        "frame_sizes": pa.list_(pa.int32()),
        "fps": pa.float64(),
        "num_dropped": pa.int32(),
    }
    return pa.schema([(f.name, types.get(f.name, pa.string())) for f in fields(ClipRow)])


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
