"""The settings of one `python -m reenact prepare` run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reenact.data.prepare.layouts import SourceConfig
from reenact.data.prepare.masks import MaskConfig
from reenact.face.factory import FaceConfig


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Which frames become a clip.

    stride: every so many frames of the video are read; max_frames: at most so many of those, from
        the first on. They are in memory together.
    min_frames, min_found: a clip with fewer frames with a face, or with a smaller share of them,
        is bad.
    min_side: smallest median side of the face crop in pixels of the video; 0 takes all.
    """

    stride: int = 1
    max_frames: int = 200
    min_frames: int = 2
    min_found: float = 0.5
    min_side: float = 0.0

    def __post_init__(self) -> None:
        for name in ("stride", "max_frames", "min_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.min_found <= 1:
            raise ValueError(f"min_found: must be between 0 and 1, got {self.min_found}")


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """How crops are stored: `quality` 1 to 100 of JPEG (full colour resolution) or WebP; so many
    clips share a shard. Processes share the work by whole shards.
    """

    format: Literal["jpeg", "webp"] = "jpeg"
    quality: int = 95
    clips_per_shard: int = 200

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality: must be 1 to 100, got {self.quality}")
        if self.clips_per_shard < 1:
            raise ValueError(f"clips_per_shard: must be at least 1, got {self.clips_per_shard}")


@dataclass(frozen=True, kw_only=True)
class PrepareRun:
    """One run. size: side of the crops in pixels. face: which face stack reads the faces."""

    out: Path
    source: SourceConfig
    size: int
    clip: ClipConfig = field(default_factory=ClipConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    face: FaceConfig = field(default_factory=FaceConfig)

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 1024:
            raise ValueError(f"size: must be 16 to 1024 pixels, got {self.size}")
        only = self.face.entry.size
        if only not in (None, self.size):
            raise ValueError(
                f"size: the {self.face.name} face stack works at {only} pixels, got {self.size}"
            )
