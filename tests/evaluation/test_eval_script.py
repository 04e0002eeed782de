"""eval.py itself, on synthetic people, in two processes, with the shipped weights."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_two_processes_report_once_and_others_can_be_measured(request, tmp_path):
    root = request.config.rootpath
    command = [
        *(sys.executable, "eval.py", "--config", "configs/embedded/eval.yaml", "--device", "cpu"),
        *("--output", str(tmp_path / "out"), "--set", "save_predictions=true"),
        *("--set", f"data.folder={tmp_path / 'clips'}", "--set", "data.num_clips=2"),
        *("--set", "data.synthetic.frames=5", "--set", "data.synthetic.cross=1"),
        *("--set", "pairs.self_every=2", "--set", "num_examples=1", "--set", "oracle_steps=2"),
    ]
    threads = {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            command,
            cwd=root,
            env=os.environ | threads | {"RANK": str(rank), "WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    first, second = (process.communicate(timeout=400)[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert first.startswith("Self-reenactment (4 pairs)\n")
    assert second == ""
    summary = json.loads((tmp_path / "out" / "report.json").read_text())
    assert summary["meta"]["num_pairs"] == {"self": 4, "cross": 2}
    (saved,) = (tmp_path / "out").glob("measured/ours-*/predictions")

    # The same pairs, with our own results once more as another method. Ours is not rendered again.
    index = command.index("--output")
    command[index + 1] = str(tmp_path / "again")
    subprocess.run(
        [*command, "--predictions", f"copy={saved}", "--only-predictions"],
        cwd=root,
        env=os.environ | threads,
        check=True,
        capture_output=True,
    )
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    for mode in ("self", "cross"):
        assert list(again[mode]) == ["copy", "copy_source"]
        for name, value in summary[mode]["ours"].items():
            expected = value if value is None else pytest.approx(value, rel=1e-3, abs=1e-3)
            assert again[mode]["copy"][name] == expected, (mode, name)
