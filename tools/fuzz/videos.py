"""Target videos: codecs, containers, rates, sizes, gaps, sound, and damage at random offsets."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tools.fuzz import material
from tools.fuzz.case import Case
from tools.fuzz.typed import one_of

KINDS = (
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("mkv", "libx264", "yuv444p"),
    ("mkv", "ffv1", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mov", "libx264", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("ts", "mpeg2video", "yuv420p"),
)
SIZES = ((128, 128), (160, 128), (96, 96), (16, 16), (320, 240))
RATES = (Fraction(25), Fraction(30000, 1001), Fraction(1), Fraction(240), Fraction(10))


def video_case(rng: np.random.Generator, folder: Path) -> Case:
    """A good photo as source, a random video as target."""
    container, codec, pixels = KINDS[int(rng.integers(len(KINDS)))]
    target = folder / f"target.{container}"
    shown = write(rng, target, codec, pixels)
    expected: int | None = shown
    if rng.random() < 0.35:
        target.write_bytes(material.damaged(rng, target.read_bytes()))
        expected = None
    if codec == "mpeg2video":
        expected = None  # transport streams lose the frames before the first key frame
    source = material.write_photo(folder / "source.png")
    output = folder / "result.mp4"
    words = material.inference(folder, source, target, output)
    words += (f"--set=compose={one_of(rng, material.COMPOSITIONS)}",)
    if rng.random() < 0.2:
        words += ("--grid",)
    if rng.random() < 0.2:
        words += ("--relative",)
    return Case(
        kind="video", words=words, output=output, num_frames=expected, files=(source, target)
    )


def write(rng: np.random.Generator, path: Path, codec: str, pixels: str) -> int:
    """Write a video and return how many frames it has."""
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    rate = RATES[int(rng.integers(len(RATES)))]
    if codec == "mpeg2video":
        rate = Fraction(25)
    # MPEG-4 part 2 counts at most 65535 ticks a second; the others take any time.
    variable = rng.random() < 0.3 and codec in ("libx264", "ffv1", "libvpx-vp9")
    pictures = [*material.frames()] * int(rng.integers(1, 4))
    if rng.random() < 0.3:
        lost = int(rng.integers(len(pictures)))
        pictures[lost] = np.zeros_like(pictures[lost])  # a frame without a face
    if rng.random() < 0.2:
        pictures = pictures[:1]
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        sound: Any = None
        if rng.random() < 0.4 and path.suffix in (".mp4", ".mkv", ".mov", ".avi"):
            sound = file.add_stream("aac", rate=44100)
        tick = Fraction(1, 90_000)
        if variable:
            stream.codec_context.time_base = tick
        at = Fraction(int(rng.integers(0, 3)))
        for i, picture in enumerate(pictures):
            resized = np.asarray(Image.fromarray(picture).resize((width, height)))
            frame = av.VideoFrame.from_ndarray(resized, format="rgb24")
            if variable:
                frame.pts, frame.time_base = int(at / tick), tick
                at += Fraction(int(rng.integers(1, 30)), 100)
            else:
                frame.pts, frame.time_base = i, 1 / rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if sound is not None:
            tone = np.sin(np.arange(int(rng.integers(1, 60_000))) / 20).astype(np.float32)[None]
            frame_of_sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame_of_sound.rate = 44100
            file.mux(sound.encode(frame_of_sound))
            file.mux(sound.encode(None))
    return len(pictures)
