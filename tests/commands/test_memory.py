"""The memory of a run does not grow with the length of the target."""

import os
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
RUNNING = """
import sys
from pathlib import Path
from reenact.commands.main import run_command

code = run_command("infer", "infer", sys.argv[1:])
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
sys.exit(code)
"""


needs_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")


def write_clip(path: Path, num_frames: int) -> Path:
    """The demo's target, resized, again and again."""
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        pictures = [frame.to_image() for frame in file.decode(video=0)]
    frames = [np.asarray(picture.resize((SIDE, SIDE))) for picture in pictures]
    with VideoWriter(path, width=SIDE, height=SIDE, fps=Fraction(25)) as writer:
        for i in range(num_frames):
            writer.write(frames[i % len(frames)])
    return path


def megabytes(words: list[str], output: Path, num_frames: int) -> int:
    """The most memory that a run with two threads needs. It must have written so many frames."""
    command = [sys.executable, "-c", RUNNING, *words]
    threads = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, cwd=ROOT, env=threads, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with av.open(str(output)) as file:
        assert sum(1 for _ in file.decode(video=0)) == num_frames
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@needs_linux
def test_300_frames_need_no_more_memory_than_100(tmp_path: Path):
    photo, output = material.write_photo(tmp_path / "a.png"), tmp_path / "result.mp4"
    needed = []
    for num_frames in (100, 300):
        target = write_clip(tmp_path / f"{num_frames}.mp4", num_frames)
        words = material.inference(tmp_path, photo, target, output)[1:]
        needed.append(megabytes([*words, f"--set=output_size={SIDE}"], output, num_frames))
    # 200 more frames of the target are 138 MB, and so are 200 more of the result. Two threads make
    # two runs differ by up to 45 MB.
    assert needed[1] - needed[0] < 80, needed


@pytest.mark.slow
@needs_linux
def test_240_frames_of_a_source_video_need_no_more_memory_than_60(tmp_path: Path):
    target, output = material.write_photo(tmp_path / "a.png"), tmp_path / "result.mp4"
    needed = []
    for num_frames in (60, 240):  # 60 frames fill the encoder
        source = write_clip(tmp_path / f"{num_frames}.mp4", num_frames)
        words = material.inference(tmp_path, source, target, output)[1:]
        words = [*words, "--set=reenactor.carry_detail=true"]
        needed.append(megabytes(words, output, num_frames))
    # 180 more frames of the source are 124 MB, and so are 180 more of the result.
    assert needed[1] - needed[0] < 80, needed
