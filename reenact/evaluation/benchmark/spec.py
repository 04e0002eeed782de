"""What the benchmark shows: the committed clips of each track, and how a copy is checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reenact.data.synthetic.clips import SyntheticConfig, plan_clip

VERSION = 1
FOLDER = Path(__file__).parent
SIZES = (256, 128)
NUM_FRAMES, FPS, SEED, SPLIT = 48, 25, 1, "test"
TARGET_EVERY = 4
"""Every so many frames of a target clip are measured."""
THUMBNAIL = 32
THUMBNAIL_FRAMES = (0, 24)
PARAMETER_TOLERANCE = 1e-3
LEVEL_TOLERANCE = 1.0


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The committed description of the benchmark.

    tracks: the clip numbers of each track. In cross-reenactment each clip gives the source for the
        motion of the next clip of its track, the last one for the first.
    parameters: for each clip number the means of its face parameters, by name.
    """

    version: int
    tracks: dict[str, list[int]]
    parameters: dict[str, dict[str, float]]

    def pairs(self, track: str) -> list[tuple[int, int]]:
        """(source, target) of all cross videos of a track."""
        clips = self.tracks[track]
        return [(clip, clips[(i + 1) % len(clips)]) for i, clip in enumerate(clips)]


def read_spec() -> Spec:
    """The committed benchmark."""
    return Spec(**json.loads((FOLDER / f"v{VERSION}.json").read_text()))


def write_spec(spec: Spec) -> None:
    """Replace the committed benchmark."""
    (FOLDER / f"v{VERSION}.json").write_text(json.dumps(asdict(spec), indent=1) + "\n")


def thumbnails_path(size: int) -> Path:
    """The committed thumbnails of the pictures of one size."""
    return FOLDER / f"v{VERSION}_{size}.png"


def config_of(track_folder: Path, size: int, clips: Sequence[int]) -> SyntheticConfig:
    """The generator's settings for the clips of a track."""
    return SyntheticConfig(
        out=track_folder,
        clips=max(clips) + 1,
        frames=NUM_FRAMES,
        size=size,
        split=SPLIT,
        seed=SEED,
        workers=1,
        cross=0,
        fps=FPS,
        stride=1,
    )


def parameter_means(clip: int) -> dict[str, float]:
    """The means of the face parameters of a clip at 256 pixels."""
    params = plan_clip(config_of(Path(), 256, [clip]), clip).params.numpy()
    return {name: round(float(values.mean()), 6) for name, values in params.items()}


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """A frame (S, S, 3) as (THUMBNAIL, THUMBNAIL, 3), each pixel the mean of its area."""
    picture = Image.fromarray(frame).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(picture)


def parameters_differ(spec: Spec, clip: int) -> bool:
    """Whether this installation gives other parameters than the committed ones."""
    ours, committed = parameter_means(clip), spec.parameters[str(clip)]
    return any(abs(ours[name] - committed[name]) > PARAMETER_TOLERANCE for name in committed)


def level_difference(spec: Spec, size: int, clip: int, frames: np.ndarray) -> float:
    """The largest mean difference of a frame's thumbnail from the committed one, in levels of 255.

    frames: (NUM_FRAMES, S, S, 3) of the clip.
    """
    sheet = np.asarray(Image.open(thumbnails_path(size)).convert("RGB")).astype(np.float32)
    column = [c for clips in spec.tracks.values() for c in clips].index(clip)
    worst = 0.0
    for row, frame in enumerate(THUMBNAIL_FRAMES):
        y, x = row * THUMBNAIL, column * THUMBNAIL
        committed = sheet[y : y + THUMBNAIL, x : x + THUMBNAIL]
        worst = max(worst, float(np.abs(thumbnail(frames[frame]) - committed).mean()))
    return worst
