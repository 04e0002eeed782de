"""Which frames meet: the self, cross and large-pose pairs of a set of clips."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from reenact.data.clips import Clip, ClipSet
from reenact.errors import UserError
from reenact.evaluation.angles import angle_difference_deg
from reenact.evaluation.pairing.lists import Row, bind, drawn_rows, read_rows

Mode = Literal["self", "cross", "large_pose"]
MODES: tuple[Mode, ...] = ("self", "cross", "large_pose")
NO_TRUTH = -1


@dataclass(frozen=True, kw_only=True)
class PairListConfig:
    """Which pairs are measured.

    self_every: every k-th frame after the first, which is the source, is a target of the self
        pairs. num_self: at most so many (null: all; 0 leaves the mode out).
    cross: "rendered" = the clips' own rendered reenactments, which have a true picture (synthetic
        clips only); "drawn" = `num_cross_videos` pairs of clips of different people, drawn by the
        seed; "listed" = the rows of `list`. num_cross: at most so many pairs (null: all; 0: none).
    cross_every: every k-th frame of a target clip ("drawn" and "listed").
    list: "voxceleb1", "voxceleb2" (committed pairs of people) or a CSV with the columns source and
        driving. Rows that name one clip twice become self pairs.
    num_large_pose: at most so many targets a clip whose head is turned from the clip's first frame
        by `large_pose_deg` degrees, the mean over yaw, pitch and roll.
    seed: what is drawn.
    """

    self_every: int = 1
    num_self: int | None = None
    cross: Literal["rendered", "drawn", "listed"] = "rendered"
    num_cross: int | None = None
    num_cross_videos: int = 35
    cross_every: int = 1
    list: str | None = None
    num_large_pose: int = 0
    large_pose_deg: float = 15.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("self_every", "cross_every", "num_cross_videos"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("num_self", "num_cross", "num_large_pose"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.num_self == self.num_cross == self.num_large_pose == 0 and self.list is None:
            raise ValueError(
                "num_self, num_cross and num_large_pose are 0: no pair is left to measure"
            )
        if self.cross == "listed" and self.list is None:
            raise ValueError("cross 'listed' needs a list: voxceleb1, voxceleb2 or a CSV file")


@dataclass(frozen=True, kw_only=True, order=True)
class Pair:
    """Source frame (identity), target frame (pose and expression) and where the truth lies.

    `reference` is what shows the true result: a frame of the source's clip (within a clip), its
    rendered cross frame of that number, or NO_TRUTH.
    """

    mode: Mode
    source_clip: str
    source_frame: int
    target_clip: str
    target_frame: int
    reference: int

    @property
    def key(self) -> str:
        """A name that is unique in a pair list and stays the same from run to run."""
        source = f"{self.source_clip}:{self.source_frame}"
        target = f"{self.target_clip}:{self.target_frame}"
        return f"{self.mode}/{source}/{target}/{self.reference}"

    @property
    def video(self) -> str:
        """The name that the pairs of one source frame and one target clip share."""
        source = self.source_clip.replace("/", "_")
        target = self.target_clip.replace("/", "_")
        return f"{self.mode}/{source}_{self.source_frame}__{target}"

    @property
    def has_truth(self) -> bool:
        return self.reference != NO_TRUTH


Video = list[Pair]
"""Pairs of one source frame and one target clip, in the order of the target frames."""


def list_pairs(
    clips: ClipSet, config: PairListConfig, num_sources: int | None = None
) -> list[Pair]:
    """All pairs of a run, mode by mode, sorted: the same for the same clips and settings.

    num_sources: only so many clips, the first ones, give sources (cross targets come from any).
    Raises UserError when there is no pair, or when a list does not fit the clips.
    """
    sources = list(clips.clips[:num_sources])
    rng = np.random.default_rng(config.seed)
    self_pairs = [
        _within("self", clip, 0, frame)
        for clip in sources
        if config.num_self != 0
        for frame in range(config.self_every, clip.num_frames, config.self_every)
    ]
    listed = _listed(clips, config)
    cross_pairs = [pair for pair in listed if pair.mode == "cross"]
    if config.num_cross != 0:
        cross_pairs += _cross_pairs(clips, sources, config)
    chosen = [pair for pair in listed if pair.mode == "self"]
    # Sorted subsets, drawn in this order from one generator: the lists of earlier results.
    chosen += _subset(self_pairs, config.num_self, rng)
    chosen += _subset(cross_pairs, config.num_cross, rng)
    if config.num_large_pose:
        for clip in sources:
            chosen += _subset(_large_pose(clip, config.large_pose_deg), config.num_large_pose, rng)
    chosen = sorted(set(chosen), key=lambda pair: (MODES.index(pair.mode), pair))
    if not chosen:
        raise UserError(
            f"{clips.root}: no pair to measure: the clips are too short, have no cross records, "
            "or no person of the list is among them"
        )
    return chosen


def videos_of(pairs: Sequence[Pair]) -> list[Video]:
    """The pairs by video; videos of one source stand together, so that it is inverted once."""
    ordered = sorted(pairs, key=lambda pair: (pair.source_clip, pair.source_frame, pair))
    return [list(group) for _, group in groupby(ordered, key=lambda pair: pair.video)]


def pick_examples(pairs: list[Pair], num_examples: int) -> list[Pair]:
    """`num_examples` pairs a mode, spread evenly over the list: the rows that are shown."""
    picked = []
    for mode in MODES:
        of_mode = [pair for pair in pairs if pair.mode == mode]
        count = min(num_examples, len(of_mode))
        picked += [of_mode[(2 * i + 1) * len(of_mode) // (2 * count)] for i in range(count)]
    return picked


def pairs_csv(pairs: Sequence[Pair]) -> str:
    """Every pair with its frames, in the columns that `read_rows` reads, and the mode."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mode", "source", "frame", "driving", "driving_frame"])
    for pair in pairs:
        writer.writerow(
            [pair.mode, pair.source_clip, pair.source_frame, pair.target_clip, pair.target_frame]
        )
    return text.getvalue()


def _within(mode: Mode, clip: Clip, source_frame: int, frame: int) -> Pair:
    """A pair inside one clip: its target frame is the truth."""
    return Pair(
        mode=mode,
        source_clip=clip.name,
        source_frame=source_frame,
        target_clip=clip.name,
        target_frame=frame,
        reference=frame,
    )


def _listed(clips: ClipSet, config: PairListConfig) -> list[Pair]:
    if config.list is None:
        return []
    rows = bind(read_rows(config.list), clips, config.seed)
    return [pair for row in rows for pair in _row_pairs(row, clips, config.cross_every)]


def _cross_pairs(clips: ClipSet, sources: list[Clip], config: PairListConfig) -> list[Pair]:
    """Those that no list names."""
    if config.cross == "rendered":
        return _rendered(clips, sources)
    if config.cross == "listed":
        return []
    people = [(clip.person, clip.name) for clip in sources]
    rows = drawn_rows(people, config.num_cross_videos, config.seed)
    return [pair for row in rows for pair in _row_pairs(row, clips, config.cross_every)]


def _rendered(clips: ClipSet, sources: list[Clip]) -> list[Pair]:
    return [
        Pair(
            mode="cross",
            source_clip=clip.name,
            source_frame=record.source_frame,
            target_clip=record.target_clip,
            target_frame=record.target_frame,
            reference=row,
        )
        for clip in sources
        for row, record in enumerate(clip.cross)
        # A cross record may point at a clip that was not kept; without it there is no target.
        if record.target_clip in clips.by_name
    ]


def _row_pairs(row: Row, clips: ClipSet, every: int) -> Iterator[Pair]:
    """The pairs of a row of clip names."""
    source, target = clips.by_name[row.source], clips.by_name[row.driving]
    frames = range(0, target.num_frames, every)
    for frame in frames if row.driving_frame is None else [row.driving_frame]:
        if source.name != target.name:
            yield Pair(
                mode="cross",
                source_clip=source.name,
                source_frame=row.frame,
                target_clip=target.name,
                target_frame=frame,
                reference=NO_TRUTH,
            )
        elif frame != row.frame:
            yield _within("self", source, row.frame, frame)


def _large_pose(clip: Clip, least_deg: float) -> list[Pair]:
    angles = clip.params.head_angles_deg()
    turned = angle_difference_deg(angles, angles[:1]).mean(1) >= least_deg
    return [_within("large_pose", clip, 0, frame) for frame in turned.nonzero().flatten().tolist()]


def _subset(pairs: list[Pair], count: int | None, rng: np.random.Generator) -> list[Pair]:
    """A sorted random subset of at most `count` pairs."""
    chosen = rng.permutation(len(pairs))[:count]
    return sorted(pairs[i] for i in chosen)
