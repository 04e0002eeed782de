"""Which frames meet: the self and cross pair lists of a folder of synthetic clips."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np

from reenact.errors import UserError
from reenact.face.params import FaceParams

Mode = Literal["self", "cross"]
MODES: tuple[Mode, ...] = ("self", "cross")


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """How many pairs are drawn from the clips.

    self_every: every k-th frame after the first is a target of the self pairs.
    num_self, num_cross: at most so many pairs a mode (0 leaves the mode out).
    seed: which pairs stay when there are more.
    """

    self_every: int = 3
    num_self: int = 200
    num_cross: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.self_every < 1:
            raise ValueError(f"self_every must be at least 1, got {self.self_every}")
        if self.num_self < 0 or self.num_cross < 0:
            raise ValueError("num_self and num_cross must not be negative")
        if self.num_self + self.num_cross == 0:
            raise ValueError("num_self and num_cross are both 0: no pair is left to measure")


@dataclass(frozen=True, kw_only=True, order=True)
class Pair:
    """Source frame (identity), target frame (pose and expression) and where the truth lies.

    `reference` is the frame of the source's clip that shows the true result: for `self` a row of
    frames.npy, for `cross` a row of cross_frames.npy.
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


@dataclass(frozen=True)
class Clip:
    """One clip folder; arrays are read when first asked for and stay mapped to the file."""

    folder: Path
    num_frames: int

    @cached_property
    def frames(self) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB."""
        return _load(self.folder / "frames.npy")

    @cached_property
    def cross_frames(self) -> np.ndarray:
        """(K, S, S, 3) uint8 RGB: this person under other clips' pose and expression."""
        return _load(self.folder / "cross_frames.npy")

    @cached_property
    def masks(self) -> np.ndarray:
        """(N, S, S) uint8: coverage of the face region."""
        return _load(self.folder / "masks.npy")

    @cached_property
    def params(self) -> FaceParams:
        """The true parameters of every frame, in crop pixels."""
        path = self.folder / "params.npz"
        try:
            with np.load(path) as file:
                names = FaceParams.__dataclass_fields__
                return FaceParams.from_numpy({name: file[name] for name in names})
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise UserError(f"{path}: cannot read the face parameters ({error})") from None

    @property
    def cross(self) -> list[dict[str, Any]]:
        """Records source_frame, target_clip, target_frame: one a row of `cross_frames`."""
        return _load_json(self.folder / "cross.json")


def read_clips(folder: Path, split: str = "test") -> dict[str, Clip]:
    """The clips of one split by name, in the order of the manifest.

    Raises UserError when the folder has no manifest or no clip of the split.
    """
    manifest = _load_json(folder / "manifest.json")
    try:
        clips = {
            entry["name"]: Clip(folder / entry["name"], int(entry["frames"]))
            for entry in manifest["clips"]
            if entry["split"] == split
        }
    except (KeyError, TypeError):
        raise UserError(f"{folder / 'manifest.json'}: not a manifest of synthetic clips") from None
    if not clips:
        raise UserError(f"{folder}: no clip of the split '{split}'")
    return clips


def list_pairs(
    clips: dict[str, Clip], config: PairConfig, num_sources: int | None = None
) -> list[Pair]:
    """All pairs of a run: self pairs first, sorted, the same for the same clips and seed.

    num_sources: only so many clips, the first ones, give sources (cross targets come from any).
    """
    sources = dict(list(clips.items())[:num_sources])
    self_pairs = [
        Pair(
            mode="self",
            source_clip=name,
            source_frame=0,
            target_clip=name,
            target_frame=frame,
            reference=frame,
        )
        for name, clip in sources.items()
        for frame in range(config.self_every, clip.num_frames, config.self_every)
    ]
    cross_pairs = [
        Pair(
            mode="cross",
            source_clip=name,
            source_frame=int(record["source_frame"]),
            target_clip=record["target_clip"],
            target_frame=int(record["target_frame"]),
            reference=row,
        )
        for name, clip in sources.items()
        if config.num_cross
        for row, record in enumerate(clip.cross)
        # A cross record may point at a clip that was not kept; without it there is no target.
        if record["target_clip"] in clips
    ]
    rng = np.random.default_rng(config.seed)
    chosen = _subset(self_pairs, config.num_self, rng) + _subset(cross_pairs, config.num_cross, rng)
    if not chosen:
        raise UserError("no pair to measure: the clips are too short or have no cross records")
    return chosen


def pick_examples(pairs: list[Pair], num_examples: int) -> list[Pair]:
    """`num_examples` pairs a mode, spread evenly over the list: the rows that are shown."""
    picked = []
    for mode in MODES:
        of_mode = [pair for pair in pairs if pair.mode == mode]
        count = min(num_examples, len(of_mode))
        picked += [of_mode[(2 * i + 1) * len(of_mode) // (2 * count)] for i in range(count)]
    return picked


def _subset(pairs: list[Pair], count: int, rng: np.random.Generator) -> list[Pair]:
    """A sorted random subset of at most `count` pairs."""
    chosen = rng.permutation(len(pairs))[:count]
    return sorted(pairs[i] for i in chosen)


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot read this array ({error})") from None


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError:
        raise UserError(f"{path}: not found; is this a folder of synthetic clips?") from None
    except ValueError:
        raise UserError(f"{path}: not valid JSON") from None
