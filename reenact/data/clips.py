"""Opens clips on disk, whichever command wrote them. Training and evaluation read them so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reenact.data import folder_clips, shard_clips
from reenact.data.clip import Clip, ClipSet, CrossRecord
from reenact.errors import UserError

__all__ = ["Clip", "ClipSet", "CrossRecord", "open_clips"]

READERS: Mapping[str, Callable[[Path, str], ClipSet]] = {
    shard_clips.MANIFEST: shard_clips.read_shards,
    folder_clips.MANIFEST: folder_clips.read_folders,
}
"""Name of the manifest -> function that reads the clips of a folder and a split."""


def open_clips(root: Path, split: str) -> ClipSet:
    """The clips of one split of a folder, which `python -m reenact prepare` or
    `python -m reenact synthetic` wrote.

    Only the manifest is read. Raises UserError when there is none, or no clip of the split.
    """
    read = next((read for name, read in READERS.items() if (root / name).is_file()), None)
    if read is None:
        raise UserError(
            f"{root}: no {' and no '.join(READERS)} here; python -m reenact prepare, synthetic or "
            "benchmark writes clips"
        )
    clips = read(root, split)
    if not clips:
        there = ", ".join(clips.splits) or "no clips at all"
        raise UserError(f"{root}: no clips of split {split!r}, the manifest has {there}")
    return clips
