"""The memory of a run does not grow with the length of the target."""

import json
import os
import platform
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from reenact.assets import asset_path
from reenact.media.video_writer import VideoWriter
from tools.fuzz import material

ROOT = Path(__file__).resolve().parents[2]
SIDE = 480
NUM_FRAMES = 200
FILLED = 60  # frames, after which the queues and the encoder are full
MOST_MEGABYTES = 40
RUNNING = """
import ctypes, functools, json, sys
import reenact.face.open.stack as stack
import reenact.inference.pictures as pictures
from reenact.commands.main import run_command
from reenact.media.video_writer import VideoWriter

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]  # h: bytes in use

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
reads, writes = [], []
read, write = pictures.Frames.__iter__, VideoWriter.write

def watched_read(frames):
    reads.append([])
    for frame in read(frames):
        reads[-1].append(mallinfo().h)
        yield frame

def watched_write(writer, frame):
    write(writer, frame)
    writes.append(mallinfo().h)

# Frames that wait are bounded by bytes. With these bounds all queues are full after a few frames.
pictures.READ_AHEAD_BYTES = 10_000_000
stack.StackConfig = functools.partial(stack.StackConfig, chunk_bytes=20_000_000)
pictures.Frames.__iter__, VideoWriter.write = watched_read, watched_write
{leak}
code = run_command("infer", "infer", sys.argv[1:])
print(json.dumps([*reads, writes]))
sys.exit(code)
"""
KEEPING = """
kept = []
def keeping(writer, frame):
    kept.append(frame.copy())
    watched_write(writer, frame)
VideoWriter.write = keeping
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")


def write_clip(path: Path) -> Path:
    """The demo's target, resized, again and again."""
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        pictures = [frame.to_image() for frame in file.decode(video=0)]
    frames = [np.asarray(picture.resize((SIDE, SIDE))) for picture in pictures]
    with VideoWriter(path, width=SIDE, height=SIDE, fps=Fraction(25)) as writer:
        for i in range(NUM_FRAMES):
            writer.write(frames[i % len(frames)])
    return path


def growths(words: list[str], leak: str = "") -> list[float]:
    """Growth of the memory in use, in megabytes, while the frames of a video pass by.

    One number for each time that a whole video is read, and one for the written frames. Memory that
    was freed does not count, so the numbers do not depend on how threads take turns.
    """
    done = subprocess.run(
        [sys.executable, "-c", RUNNING.format(leak=leak), *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    series = [np.array(part) for part in json.loads(done.stdout.splitlines()[-1])]
    assert len(series[-1]) == NUM_FRAMES
    return [
        (np.median(part[-10:]) - np.median(part[FILLED : FILLED + 10])) / 1e6
        for part in series
        if len(part) == NUM_FRAMES
    ]


@pytest.mark.slow
@needs_glibc
@pytest.mark.parametrize("leak", ["", KEEPING], ids=["as it is", "a leak is seen"])
def test_a_long_target_needs_no_more_memory_than_a_short_one(leak: str, tmp_path: Path):
    photo, target = material.write_photo(tmp_path / "a.png"), write_clip(tmp_path / "target.mp4")
    words = material.inference(tmp_path, photo, target, tmp_path / "result.mp4")[1:]
    found = growths([*words, "--set=compose=crop", f"--set=output_size={SIDE}"], leak)
    assert len(found) == 2
    # The 130 frames between the two moments would be 90 MB.
    assert (max(found) < MOST_MEGABYTES) == (not leak), found


@pytest.mark.slow
@needs_glibc
def test_a_long_source_video_needs_no_more_memory_than_a_short_one(tmp_path: Path):
    photo, source = material.write_photo(tmp_path / "a.png"), write_clip(tmp_path / "source.mp4")
    words = material.inference(tmp_path, source, photo, tmp_path / "result.mp4")[1:]
    found = growths([*words, "--set=reenactor.carry_detail=true"])
    assert len(found) == 2
    assert max(found) < MOST_MEGABYTES, found
