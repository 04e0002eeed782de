"""From raw videos to the table with two processes: the commands of docs/voxceleb.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs" / "voxceleb256"
NUM_CLIPS = 16  # two of the eight people have test identities
FEW = {
    "num_steps": 2,
    "batch_size": 4,
    "data.num_workers": 0,
    "data.val_split": "test",
    "logging.num_images": 2,
    "logging.num_steps": 2,
    "logging.encode_steps": 2,
    "logging.preview_every": 2,
    "logging.validate_every": 2,
    "optimizer.warmup_steps": 1,
}


def command(*arguments: object, settings: dict[str, object] | None = None) -> None:
    """Run python with `--set` for the settings; its errors are the test's."""
    options = [f"--set={key}={value}" for key, value in (settings or {}).items()]
    words = [sys.executable, *map(str, arguments), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"


def torchrun(*arguments: object, settings: dict[str, object]) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command(*launcher, *arguments, settings=settings)


@pytest.mark.slow
def test_from_raw_videos_to_the_table(tmp_path):
    raw, data = tmp_path / "raw", tmp_path / "data"
    make = ("-m", "reenact", "synthetic-raw", "--out", raw, "--layout", "release")
    command(*make, "--clips", NUM_CLIPS, "--frames", 8)
    prepare = {
        "source.root": raw,
        "out": data,
        "size": 128,
        "clip.stride": 1,
        "clip.min_side": 0,
        "store.clips_per_shard": 2,
    }
    torchrun("-m", "reenact", "prepare", "--config", CONFIGS / "prepare.yaml", settings=prepare)

    align, reenact = tmp_path / "align.safetensors", tmp_path / "reenact.safetensors"
    shared = FEW | {"data.root": data}
    stage = {
        "init": ROOT / "reenact" / "assets" / "embedded_diffae.safetensors",
        "run_dir": tmp_path / "align",
        "export": align,
    }
    torchrun("train.py", "--config", CONFIGS / "align.yaml", settings=shared | stage)
    stage = {
        "init": align,
        "run_dir": tmp_path / "reenact",
        "export": reenact,
        "reenact.cross_start": 0,
        "reenact.render_steps": 2,
        "reenact.encode_steps": 2,
    }
    torchrun("train.py", "--config", CONFIGS / "reenact.yaml", settings=shared | stage)

    evaluation = {
        "weights": reenact,
        "data.folder": data,
        "output": tmp_path / "eval",
        "reenactor.num_steps": 2,
        "reenactor.encode_steps": 2,
        "pairs.num_self": 6,
        "pairs.cross": "drawn",
        "pairs.list": "null",
        "pairs.num_cross_videos": 2,
        "pairs.cross_every": 5,
    }
    torchrun("eval.py", "--config", CONFIGS / "eval.yaml", settings=evaluation)
    (folder,) = (tmp_path / "eval").glob("ours-*")
    report = json.loads((folder / "report.json").read_text())
    assert report["self"]["ours"]["l1"] > 0
    assert (folder / "report.html").is_file()
    lines = (tmp_path / "reenact" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["step"] == 2
