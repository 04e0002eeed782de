"""One reader of clips on disk, whoever wrote them; for training and evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reenact.data import folder_clips, shard_clips
from reenact.data.clip import Clip, CrossRecord
from reenact.errors import UserError

__all__ = ["Clip", "ClipSet", "CrossRecord", "open_clips"]


@dataclass(frozen=True, kw_only=True)
class ClipSet:
    """The clips of one split, in the manifest's order.

    size: side of the crops in pixels.
    fps: frames a second as the clips hold them; the median where clips differ.
    face: the face stack that read the parameters, by its name in `factory.STACKS`.
    fingerprint: sha256 of the manifest.
    """

    root: Path
    size: int
    fps: float
    face: str
    clips: Sequence[Clip]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def by_name(self) -> dict[str, Clip]:
        return {clip.name: clip for clip in self.clips}


def open_clips(root: Path, split: str) -> ClipSet:
    """Open the clips of one split: shards with manifest.parquet (`python -m reenact prepare`)
    or clip folders with manifest.json (`python -m reenact synthetic`).

    Only the manifest is read. Raises UserError when there is none, or no clip of the split.
    """
    parquet, folders = root / shard_clips.MANIFEST, root / folder_clips.MANIFEST
    size: int
    clips: Sequence[Clip]
    if parquet.is_file():
        manifest = shard_clips.read_shards(root, split)
        size, fps, face, clips = manifest.size, manifest.fps, manifest.face, manifest.clips
        splits, path = manifest.splits, parquet
    elif folders.is_file():
        folder = folder_clips.read_folder(root)
        size, fps, face = folder.size, folder.fps, "open"
        clips = [clip for clip in folder.clips if clip.split == split]
        splits, path = sorted({clip.split for clip in folder.clips}), folders
    else:
        raise UserError(
            f"{root}: no manifest.parquet and no manifest.json here, run python -m reenact "
            f"prepare, or python -m reenact synthetic --out {root}"
        )
    if not clips:
        raise UserError(f"{root}: no clips of split {split!r}, the manifest has {splits}")
    return ClipSet(
        root=root,
        size=size,
        fps=fps,
        face=face,
        clips=clips,
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
