"""Clips in tar shards, as `python -m reenact prepare` writes them.

The manifest says where each frame lies, so a read is one `open` and one `pread` in the tar file.
Nothing is unpacked, and any number of processes may read at once, in any order.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from reenact.data.clip import ClipSet, CrossRecord
from reenact.data.manifest import ClipRow, Manifest, read_manifest
from reenact.data.shards import member_offsets
from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.factory import STACKS

MANIFEST = "manifest.parquet"

_CURE = "delete the shard and its .jsonl and run python -m reenact prepare again"


@dataclass(frozen=True, kw_only=True)
class ShardClip:
    """One clip of a shard; see `Clip`."""

    root: Path
    face: str
    size: int
    row: ClipRow

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def person(self) -> str:
        return self.row.person

    @property
    def split(self) -> str:
        return self.row.split

    @property
    def num_frames(self) -> int:
        return len(self.row.frame_sizes)

    @property
    def path(self) -> Path:
        return self.root / self.row.shard

    def frame(self, index: int) -> np.ndarray:
        place = range(self.num_frames)[index]
        data = _read(self.path, self._offsets[place + 1], self.row.frame_sizes[place])
        try:
            frame = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        except Exception as error:  # Pillow's decoders raise almost anything on damaged bytes
            raise UserError(
                f"{self.path}: {self.name}: cannot decode frame {index} ({error}), {_CURE}"
            ) from error
        if frame.shape != (self.size, self.size, 3):
            raise UserError(
                f"{self.path}: {self.name}: frame {index} is {frame.shape[1]}x{frame.shape[0]}, "
                f"expected {self.size}x{self.size}, {_CURE}"
            )
        return frame

    def face_mask(self, index: int) -> np.ndarray:
        packed = _arrays(self.path, self._offsets[0], self.row.params_size, ("masks",))["masks"]
        bits = np.unpackbits(packed[range(self.num_frames)[index]], axis=-1, count=self.size)
        return bits * np.uint8(255)

    @property
    def params(self) -> FaceBatch:
        return _params(self.path, self._offsets[0], self.row.params_size, self.face)

    @property
    def landmarks(self) -> np.ndarray:
        names = ("landmarks",)
        return _arrays(self.path, self._offsets[0], self.row.params_size, names)["landmarks"]

    @property
    def cross(self) -> list[CrossRecord]:
        return []

    def cross_frame(self, index: int) -> np.ndarray:
        raise IndexError(f"{self.name}: prepared clips have no cross frames")

    def cross_mask(self, index: int) -> np.ndarray:
        raise IndexError(f"{self.name}: prepared clips have no cross frames")

    def alpha(self, part: str, index: int) -> None:
        return None

    def cross_alpha(self, part: str, index: int) -> None:
        return None

    @property
    def has_photo(self) -> bool:
        return False

    def photo(self) -> np.ndarray:
        raise UserError(
            f"{self.path}: prepared clips have no photo around their frames, take clips of "
            "python -m reenact synthetic"
        )

    def crop_from_frame(self, index: int) -> np.ndarray:
        raise IndexError(f"{self.name}: prepared clips have no photo around their frames")

    @cached_property
    def _offsets(self) -> list[int]:
        return member_offsets(self.row.offset, [self.row.params_size, *self.row.frame_sizes])


class ShardClips(Sequence[ShardClip]):
    """The clips of a manifest. A clip object is made when it is asked for, so that a million clips
    cost no memory.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root, self.manifest = root, manifest

    def __len__(self) -> int:
        return int(self.manifest.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> ShardClip: ...

    @overload
    def __getitem__(self, index: slice) -> list[ShardClip]: ...

    def __getitem__(self, index: int | slice) -> ShardClip | list[ShardClip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.manifest.row(range(len(self))[index])
        return ShardClip(root=self.root, face=self.manifest.face, size=self.manifest.size, row=row)


def read_shards(root: Path, split: str) -> ClipSet:
    """The clips of one split (maybe none). Raises UserError for a damaged manifest."""
    import pyarrow.compute as pc

    path = root / MANIFEST
    manifest = read_manifest(path)
    column = manifest.table.column("split")
    chosen = manifest.table.filter(pc.equal(column, split)).combine_chunks()
    return ClipSet(
        root=root,
        size=manifest.size,
        fps=float(np.median(chosen.column("fps").to_numpy())) if len(chosen) else 0.0,
        face=manifest.face,
        clips=ShardClips(root, replace(manifest, table=chosen)),
        splits=sorted(column.unique().to_pylist()),
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _read(path: Path, offset: int, size: int) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            data = os.pread(file, size, offset)
        finally:
            os.close(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path}: cannot read the shard ({reason}), {_CURE}") from error
    if len(data) != size:
        raise UserError(f"{path}: the shard ends before byte {offset + size}, {_CURE}")
    return data


# 64 clips of packed masks at 256 pixels and 64 frames: 32 MB.
@lru_cache(maxsize=64)
def _arrays(path: Path, offset: int, size: int, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(_read(path, offset, size))) as file:
            return {name: file[name] for name in names}
    except (KeyError, ValueError, EOFError, OSError, BadZipFile) as error:
        raise UserError(f"{path}: damaged at byte {offset} ({error}), {_CURE}") from error


@lru_cache(maxsize=1024)
def _params(path: Path, offset: int, size: int, face: str) -> FaceBatch:
    kind = STACKS[face].params
    return kind.from_numpy(_arrays.__wrapped__(path, offset, size, tuple(kind.WIDTHS)))
