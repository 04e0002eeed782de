"""Tar shards of clips. A process that is killed while it writes loses at most one clip.

A clip is one npz directly followed by its frames: `NAME.npz`, `NAME.000000.jpg`,
`NAME.000001.jpg` ... WebDataset reads this as one sample. The place of each frame follows from the
sizes of the members.

An open shard is called `SHARD.tar.part`. Its journal `SHARD.jsonl` gets one line for each finished
clip, after the clip's bytes are written. The line says where the clip ends. When the shard is
opened again, everything after the last whole line is cut off. Closing the shard renames `.tar.part`
to `.tar`.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from reenact.data.manifest import ClipRow
from reenact.errors import UserError
from reenact.locks import try_lock

BLOCK = 512
"""A tar member is one block of header and its data, filled up to whole blocks of this size."""


@dataclass(frozen=True, kw_only=True)
class BadClip:
    """A clip that was left out, with the reason."""

    name: str
    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The content of a shard's journal: its clips, in order, and the clips that were left out."""

    rows: list[ClipRow]
    bad: list[BadClip]

    @property
    def done(self) -> set[str]:
        return {row.name for row in self.rows} | {clip.name for clip in self.bad}


def padded(size: int) -> int:
    """`size` filled up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def member_offsets(start: int, sizes: Sequence[int]) -> list[int]:
    """Where the data of each member begins.

    start: position of the first header.
    sizes: bytes of each member. The members follow each other.
    """
    offsets = []
    for size in sizes:
        offsets.append(start + BLOCK)
        start += BLOCK + padded(size)
    return offsets


def member(name: str, data: bytes) -> bytes:
    """One tar member. The same name and data give the same bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    header = info.tobuf(tarfile.USTAR_FORMAT)
    assert len(header) == BLOCK
    return header + data + bytes(padded(len(data)) - len(data))


def tar_path(folder: Path, shard: str) -> Path:
    return folder / f"{shard}.tar"


def journal_path(folder: Path, shard: str) -> Path:
    return folder / f"{shard}.jsonl"


def is_closed(folder: Path, shard: str) -> bool:
    """Whether the shard is complete."""
    return tar_path(folder, shard).is_file() and journal_path(folder, shard).is_file()


def read_journal(path: Path) -> Journal:
    """The journal of a closed shard. Raises UserError when it is damaged."""
    records, good = _records(path.read_bytes())
    if good != path.stat().st_size:
        raise UserError(
            f"{path}: damaged after byte {good}, delete it and the .tar beside it and run "
            "python -m reenact prepare again"
        )
    return _journal(records)


class ShardWriter:
    """Begins a shard, or continues it. `journal` lists the clips that are already in it.

    Use it as a context manager, and call `close` when the shard is complete. Raises UserError when
    another process writes the same shard.
    """

    def __init__(self, folder: Path, shard: str) -> None:
        self.folder, self.shard = folder, shard
        self._part = tar_path(folder, shard).with_suffix(".tar.part")

    def __enter__(self) -> Self:
        self._tar: BinaryIO = os.fdopen(os.open(self._part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if not try_lock(self._tar):
            self._tar.close()
            raise UserError(
                f"{self._part}: another process writes this shard, give each process its own "
                "--shard i/n"
            )
        self._log: BinaryIO = open(journal_path(self.folder, self.shard), "a+b")
        self._recover()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._log.close()
        self._tar.close()

    def add(self, row: ClipRow, npz: bytes, frames: Sequence[bytes], suffix: str) -> ClipRow:
        """Append a clip and return `row` with its place filled in.

        npz, frames: content of the files. suffix: end of the frames' names, for example ".jpg".
        """
        names = [f"{row.name}.npz", *(f"{row.name}.{i:06d}{suffix}" for i in range(len(frames)))]
        block = b"".join(member(n, d) for n, d in zip(names, [npz, *frames], strict=True))
        placed = replace(
            row,
            shard=tar_path(self.folder, self.shard).name,
            offset=self._end,
            params_size=len(npz),
            frame_sizes=[len(frame) for frame in frames],
        )
        self._tar.seek(self._end)
        self._tar.write(block)
        _flush(self._tar)
        self._end += len(block)
        self._note({"clip": asdict(placed)})
        self.journal.rows.append(placed)
        return placed

    def leave_out(self, clip: BadClip) -> None:
        """Note that a clip is bad."""
        self._note({"bad": asdict(clip)})
        self.journal.bad.append(clip)

    def close(self) -> None:
        """Complete the shard and give it its final name."""
        self._tar.seek(self._end)
        self._tar.write(bytes(2 * BLOCK))
        self._tar.truncate()
        _flush(self._tar)
        os.replace(self._part, tar_path(self.folder, self.shard))

    def _note(self, record: dict[str, Any]) -> None:
        line = json.dumps(record | {"end": self._end}, ensure_ascii=False) + "\n"
        self._log.write(line.encode())
        _flush(self._log)

    def _recover(self) -> None:
        """Cut off a clip that was written only in part when the last process was killed."""
        self._log.seek(0)
        records, _ = _records(self._log.read())
        size = os.fstat(self._tar.fileno()).st_size
        # After a power failure the journal may be ahead of the data.
        while records and records[-1][0]["end"] > size:
            records.pop()
        self._log.truncate(records[-1][1] if records else 0)
        self._end = int(records[-1][0]["end"]) if records else 0
        self._tar.truncate(self._end)
        self.journal = _journal(records)


def _records(data: bytes) -> tuple[list[tuple[dict[str, Any], int]], int]:
    """The whole lines of a journal.

    Returns the lines, each with the position after it, and the position after the last whole line.
    """
    records: list[tuple[dict[str, Any], int]] = []
    position = 0
    for line in data.splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(record, dict) or "end" not in record:
            break
        position += len(line)
        records.append((record, position))
    return records, position


def _journal(records: Sequence[tuple[dict[str, Any], int]]) -> Journal:
    return Journal(
        rows=[ClipRow(**record["clip"]) for record, _ in records if "clip" in record],
        bad=[BadClip(**record["bad"]) for record, _ in records if "bad" in record],
    )


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
