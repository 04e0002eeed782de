"""From raw videos to the report: every step of docs/voxceleb.md on synthetic people."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reenact.commands.dryrun import DEFAULT_OUT, launched, steps

ROOT = Path(__file__).resolve().parents[2]


def test_the_default_folder_is_the_one_that_the_configs_name():
    for words in steps(Path(DEFAULT_OUT), "flat"):
        assert not any(word.startswith("--set") for word in words)
        if "--config" in words:
            name = words[words.index("--config") + 1]
            assert f"{DEFAULT_OUT}/" in (ROOT / "configs" / f"{name}.yaml").read_text()


def test_several_processes_start_through_torchrun():
    words = launched(["train", "--config", "dryrun/align"], 2, "cpu")
    assert words[1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "processes"), [("release", 2), ("frames_cropped", 1)])
def test_from_raw_videos_to_the_report(tmp_path: Path, layout: str, processes: int):
    out = tmp_path / "dryrun"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "reenact", "dryrun", "--out", str(out), "--device", "cpu"),
            *("--layout", layout, "--processes", str(processes)),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["self"]["ours"]["l1"] > 0
    # After ten steps the results show no faces yet. The copied source shows its person.
    assert report["cross"]["copy_source"]["csim"] == pytest.approx(1)
    assert (out / "report" / "report.html").is_file()
    steps_logged = [json.loads(x) for x in (out / "reenact/metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in steps_logged) == 10
    assert any(name.startswith("val/") for row in steps_logged for name in row)
