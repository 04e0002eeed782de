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
from reenact.ranges import Checked, Count, CountOrZero, NonNegative, Seed

Mode = Literal["self", "cross", "large_pose"]
MODES: tuple[Mode, ...] = ("self", "cross", "large_pose")
NO_TRUTH = -1


@dataclass(frozen=True, kw_only=True)
class PairListConfig(Checked):
    """Which pairs are measured.

    self_every: every k-th frame of a clip is a target of the self pairs. The first frame is the
        source.
    num_self: at most so many self pairs; null = all, 0 = none.
    cross: "rendered" takes the rendered reenactments of synthetic clips, which have a true picture.
        "drawn" takes pairs of clips of different people, drawn by the seed. "listed" takes the
        rows of `list`.
    num_cross: at most so many cross pairs; null = all, 0 = none.
    num_cross_videos: how many pairs of clips are drawn ("drawn").
    cross_every: every k-th frame of a target clip is a target ("drawn" and "listed").
    list: "voxceleb1", "voxceleb2" (committed pairs of people) or a CSV file with the columns source
        and driving. Rows that name one clip twice become self pairs.
    num_large_pose: at most so many targets of each clip with a large turn of the head.
    large_pose_deg: degrees between the head in the first frame and the head in such a target, the
        mean over yaw, pitch and roll.
    seed: seed of everything that is drawn.
    """

    self_every: Count = 1
    num_self: CountOrZero | None = None
    cross: Literal["rendered", "drawn", "listed"] = "rendered"
    num_cross: CountOrZero | None = None
    num_cross_videos: Count = 35
    cross_every: Count = 1
    list: str | None = None
    num_large_pose: CountOrZero = 0
    large_pose_deg: NonNegative = 15.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_self == self.num_cross == self.num_large_pose == 0 and self.list is None:
            raise ValueError(
                "num_self, num_cross and num_large_pose are 0: no pair is left to measure"
            )
        if self.cross == "listed" and self.list is None:
            raise ValueError("cross 'listed' needs a list: voxceleb1, voxceleb2 or a CSV file")


@dataclass(frozen=True, kw_only=True, order=True)
class Pair:
    """A source frame (identity) and a target frame (pose and expression).

    reference: the frame with the true result. Within a clip it is a frame of the clip. In cross
        pairs it is a rendered cross frame of the source's clip, or NO_TRUTH.
    """

    mode: Mode
    source_clip: str
    source_frame: int
    target_clip: str
    target_frame: int
    reference: int

    @property
    def key(self) -> str:
        """A name that is unique in a pair list and the same in each run."""
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
        """Whether there is a true picture."""
        return self.reference != NO_TRUTH


Video = list[Pair]
"""Pairs of one source frame and one target clip, in the order of the target frames."""


def list_pairs(
    clips: ClipSet, config: PairListConfig, num_sources: int | None = None
) -> list[Pair]:
    """All pairs of a run, sorted, mode by mode. Equal clips and settings give equal pairs.

    num_sources: only so many clips, the first ones, give sources. Targets come from all clips.
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
    # The order of these draws from one generator must stay: it decides the pairs of old results.
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
    """The pairs by video. Videos of one source are neighbours, so that it is inverted once."""
    ordered = sorted(pairs, key=lambda pair: (pair.source_clip, pair.source_frame, pair))
    return [list(group) for _, group in groupby(ordered, key=lambda pair: pair.video)]


def pick_examples(pairs: list[Pair], num_examples: int) -> list[Pair]:
    """`num_examples` pairs of each mode, spread evenly over the list."""
    picked = []
    for mode in MODES:
        of_mode = [pair for pair in pairs if pair.mode == mode]
        count = min(num_examples, len(of_mode))
        picked += [of_mode[(2 * i + 1) * len(of_mode) // (2 * count)] for i in range(count)]
    return picked


def pairs_csv(pairs: Sequence[Pair]) -> str:
    """All pairs with their frames, in the columns that `read_rows` reads, and their mode."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mode", "source", "frame", "driving", "driving_frame"])
    for pair in pairs:
        writer.writerow(
            [pair.mode, pair.source_clip, pair.source_frame, pair.target_clip, pair.target_frame]
        )
    return text.getvalue()


def _within(mode: Mode, clip: Clip, source_frame: int, frame: int) -> Pair:
    """A pair inside one clip. The target frame is the true picture."""
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
    """The cross pairs that are not in a list."""
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
        # The target clip of a cross record may have been deleted.
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
