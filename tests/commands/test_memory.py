"""The memory of a run does not grow with the length of the target."""

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


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_300_frames_need_no_more_memory_than_100(tmp_path: Path):
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        pictures = [frame.to_image() for frame in file.decode(video=0)]
    frames = [np.asarray(picture.resize((SIDE, SIDE))) for picture in pictures]
    photo, output = material.write_photo(tmp_path / "a.png"), tmp_path / "result.mp4"
    megabytes = []
    for num_frames in (100, 300):
        target = tmp_path / f"{num_frames}.mp4"
        with VideoWriter(target, width=SIDE, height=SIDE, fps=Fraction(25)) as writer:
            for i in range(num_frames):
                writer.write(frames[i % len(frames)])
        words = material.inference(tmp_path, photo, target, output)[1:]
        command = [sys.executable, "-c", RUNNING, *words, f"--set=output_size={SIDE}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with av.open(str(output)) as file:
            assert sum(1 for _ in file.decode(video=0)) == num_frames
        megabytes.append(int(done.stdout.split()[-1]))
    # 200 more frames of the target are 138 MB, and so are 200 more of the result.
    assert megabytes[1] - megabytes[0] < 40, megabytes
