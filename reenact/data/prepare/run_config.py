"""The settings of one `python -m reenact prepare` run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from reenact.data.prepare.layouts import SourceConfig
from reenact.data.prepare.masks import MaskConfig
from reenact.errors import UserError
from reenact.face.factory import FaceConfig
from reenact.ranges import Checked, Count, NonNegative, Range, Share


@dataclass(frozen=True, kw_only=True)
class ClipConfig(Checked):
    """Which frames become a clip.

    stride: 1 reads every frame of the video, 2 every second one, and so on.
    max_frames: at most so many frames are read, from the first one on. All of them are in memory
        at once.
    min_frames: a clip with fewer frames that show a face is bad.
    min_found: a clip with a smaller share of frames that show a face is bad.
    min_side: smallest median side of the face crop, in pixels of the video; 0 takes all.
    """

    stride: Count = 1
    max_frames: Count = 200
    min_frames: Count = 2
    min_found: Share = 0.5
    min_side: NonNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class StoreConfig(Checked):
    """How crops are stored.

    format: JPEG (with full colour resolution) or WebP.
    quality: of the pictures.
    clips_per_shard: clips in one tar file. Processes share the work by whole shards.
    """

    format: Literal["jpeg", "webp"] = "jpeg"
    quality: Annotated[int, Range(at_least=1, at_most=100)] = 95
    clips_per_shard: Count = 200


@dataclass(frozen=True, kw_only=True)
class PrepareRun(Checked):
    """One preparation of raw clips. Running the same config again continues where it stopped.

    out: folder of the shards and the manifest.
    source: where the raw clips lie.
    size: side of the crops in pixels.
    clip: which frames become a clip.
    store: how crops are stored.
    masks: how face masks are made.
    face: which face stack reads the faces.
    """

    out: Path
    source: SourceConfig
    size: Annotated[int, Range(at_least=16, at_most=1024)]
    clip: ClipConfig = field(default_factory=ClipConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    face: FaceConfig = field(default_factory=FaceConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        only = self.face.entry.size
        if only not in (None, self.size):
            raise UserError(
                f"size: the {self.face.name} face stack works at {only} pixels, got {self.size}"
            )
