"""Videos of a report: source, target, results and truth side by side, as they move."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from reenact.evaluation.pairing.pairs import Pair, Video, videos_of
from reenact.evaluation.reporting.pictures import panels_of
from reenact.files import make_folder
from reenact.media.video_writer import VideoWriter

FOLDER = "videos"
MODES = ("self", "cross")
"""Pairs of large turns are single frames, not videos."""
MIN_FRAMES, MAX_FRAMES = 4, 75
SIDE = 128
HEADER = 18
CRF = 23


@dataclass(frozen=True, kw_only=True)
class Film:
    """One video of the report.

    mode, name: of the video. labels: the names of the panels from left to right. frames: the
        pictures (H, W, 3) with the labels above. fps: the target moves as fast as in its clip.
    """

    mode: str
    name: str
    labels: list[str]
    frames: list[np.ndarray]
    fps: Fraction

    @property
    def path(self) -> str:
        """The place of the file, from the folder of the report."""
        return f"{FOLDER}/{self.mode}-{hashlib.sha256(self.name.encode()).hexdigest()[:12]}.mp4"

    def write(self, folder: Path) -> None:
        """Write the file below the folder of the report. Raises UserError."""
        make_folder(folder / FOLDER)
        height, width = self.frames[0].shape[:2]
        with VideoWriter(
            folder / self.path, width=width, height=height, fps=self.fps, crf=CRF, synthetic=True
        ) as writer:
            for frame in self.frames:
                writer.write(frame)


def pick_films(pairs: Sequence[Pair], count: int) -> list[Video]:
    """`count` videos of each mode that has enough frames, spread evenly, with their first frames.

    Each video has pairs of consecutive measured frames, at most `MAX_FRAMES`.
    """
    picked: list[Video] = []
    for mode in MODES:
        videos = videos_of([pair for pair in pairs if pair.mode == mode])
        long = [video[:MAX_FRAMES] for video in videos if len(video) >= MIN_FRAMES]
        shown = min(count, len(long))
        picked += [long[(2 * i + 1) * len(long) // (2 * shown)] for i in range(shown)]
    return picked


def make_film(
    video: Video, rows: Sequence[dict[str, np.ndarray]], labels: dict[str, str], clip_fps: float
) -> Film:
    """Put the panels of a video's pairs together.

    rows: for each pair its frames (S, S, 3) by panel. labels: the names of panels that have another
    name for readers. clip_fps: frames per second of the target clip.
    """
    names = panels_of(rows)
    steps = np.diff([pair.target_frame for pair in video])
    fps = Fraction(max(clip_fps, 1.0) / max(float(np.median(steps)), 1.0)).limit_denominator(1000)
    shown = [labels.get(name, name) for name in names]
    return Film(
        mode=video[0].mode,
        name=video[0].video,
        labels=shown,
        frames=list(_frames(rows, names, shown)),
        fps=fps,
    )


def _frames(
    rows: Sequence[dict[str, np.ndarray]], names: Sequence[str], labels: Sequence[str]
) -> Iterator[np.ndarray]:
    header = Image.new("RGB", (SIDE * len(names), HEADER), "white")
    draw = ImageDraw.Draw(header)
    for i, label in enumerate(labels):
        draw.text(((i + 0.5) * SIDE, HEADER / 2), label, fill="black", anchor="mm")
    for row in rows:
        picture = Image.new("RGB", (header.width, HEADER + SIDE), "white")
        picture.paste(header, (0, 0))
        for i, name in enumerate(names):
            if name in row:
                tile = Image.fromarray(row[name]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                picture.paste(tile, (i * SIDE, HEADER))
        yield np.asarray(picture)
