"""The commands of docs/voxceleb.md and docs/evaluation.md, and the first ones of docs/training.md,
run as they stand, one after another.

They run in a fresh copy of the scripts and configs. The copy differs from a clone in three ways,
because a test has neither VoxCeleb nor GPUs nor days:

- The configs have small sizes and few steps (`SMALL`). All their paths are the shipped ones.
- What only the user has is a stand-in: raw videos of synthetic people in VoxCeleb's layout, under
  names of people of the committed list; a small DiffAE of random weights in the official file
  format; and the results of other methods, which are copies of our own results.
- `srun` runs its arguments.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from diffae import DiffAE, DiffAEConfig
from diffae.checkpoint import PREFIXES, official_name
from reenact.evaluation.pairing.lists import read_rows

ROOT = Path(__file__).resolve().parents[1]
DIFFAE = DiffAEConfig(
    image_size=64,
    base_channels=32,
    channel_mults=(1, 1, 2),
    encoder_channel_mults=(1, 1, 2),
    attention_resolutions=(16,),
    num_res_blocks=1,
    z_channels=64,
    time_channels=64,
)
TRAINING = {
    "batch_size": 4,
    "data": {"num_workers": 0},
    "optimizer": {"warmup_steps": 1},
    "logging": {"scalars_every": 1, "num_images": 2, "num_steps": 2, "encode_steps": 2}
    | dict.fromkeys(("preview_every", "validate_every", "checkpoint_every"), 2),
}
SMALL: dict[str, dict[str, Any]] = {
    "voxceleb256/prepare": {
        "size": 64,
        "source": {"val_persons": 0.3},
        "clip": {"stride": 1, "min_frames": 4, "min_side": 0.0},
        "store": {"clips_per_shard": 1},
    },
    "voxceleb256/align": TRAINING | {"num_steps": 4},
    "voxceleb256/reenact": TRAINING
    | {"num_steps": 2, "reenact": {"render_steps": 2, "encode_steps": 2, "cross_start": 1}},
    "voxceleb256/eval": {
        "num_examples": 2,
        "save_predictions": True,  # the results of the "other methods"
        "reenactor": {"num_steps": 2, "encode_steps": 2, "x_T": "source", "sampler": "ddim"},
    },
    "tiny": {"num_steps": 10},
    "embedded/eval": {
        "oracle_steps": 2,
        "num_examples": 1,
        "data": {"num_clips": 2, "synthetic": {"frames": 4, "cross": 1, "num_workers": 1}},
    },
}


def commands(page: str) -> list[list[str]]:
    """The commands of the bash blocks of a page, block by block, with their #SBATCH lines."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
    return [
        [line for line in block.replace("\\\n", " ").splitlines() if keeps(line)]
        for block in blocks
    ]


def keeps(line: str) -> bool:
    return bool(line.strip()) and (not line.startswith("#") or line.startswith("#SBATCH"))


def laid_over(config: dict[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    """The config with the values of `small`, section by section."""
    return config | {
        key: laid_over(config.get(key) or {}, value) if isinstance(value, dict) else value
        for key, value in small.items()
    }


class Clone:
    """A folder that looks like a fresh clone to the commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / ".programs"
        programs.mkdir()
        (programs / "srun").write_text('#!/bin/sh\nexec "$@"\n')
        (programs / "srun").chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        for name in ("train.py", "eval.py", "infer.py"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("reenact", "diffae"):
            (folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "configs", folder / "configs")
        for name, small in SMALL.items():
            path = folder / "configs" / f"{name}.yaml"
            path.write_text(yaml.safe_dump(laid_over(yaml.safe_load(path.read_text()), small)))

    def run(self, line: str, **environment: str) -> None:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"

    def reports(self) -> list[dict[str, Any]]:
        """The reports below results/, the newest last."""
        paths = sorted(self.folder.glob("results/*/*/report.json"), key=lambda p: p.stat().st_mtime)
        assert all(path.with_suffix(".html").is_file() for path in paths)
        return [json.loads(path.read_text()) for path in paths]


def write_what_the_user_has(clone: Clone) -> None:
    """The stand-ins for VoxCeleb's videos and for the official DiffAE weights."""
    raw = clone.folder / "data" / "voxceleb_raw"
    clone.run(f"python -m reenact synthetic-raw --out {raw} --layout release --clips 16 --frames 8")
    row = read_rows("voxceleb1")[0]
    test_people = sorted(path.name for path in raw.glob("id*") if path.name >= "id10270")
    for person, name in zip(test_people, (row.source, row.driving), strict=True):
        for place in (raw, raw / "txt"):
            (place / person).rename(place / f"new-{name}")
    for place in (raw, raw / "txt"):
        for path in list(place.glob("new-*")):
            path.rename(place / path.name.removeprefix("new-"))
    torch.manual_seed(0)
    diffae = DiffAE(DIFFAE)
    state = {PREFIXES["ema"] + official_name(n): t for n, t in diffae.state_dict().items()}
    (clone.folder / "weights").mkdir()
    torch.save({"state_dict": state}, clone.folder / "weights" / "last.ckpt")


@pytest.mark.slow
def test_the_pages_for_researchers_run_command_by_command(tmp_path: Path):
    clone = Clone(tmp_path)
    write_what_the_user_has(clone)

    dry_run, whole, array = commands("voxceleb.md")
    for line in (*dry_run, *whole):
        clone.run(line)
    assert (tmp_path / "runs/dryrun/report/report.html").is_file()
    (report,) = clone.reports()
    assert report["meta"]["num_pairs"]["self"] > 0
    assert report["meta"]["num_videos"]["cross"] == 1, "one pair of people of the committed list"

    prepared = tmp_path / "data" / "voxceleb256"
    manifest = (prepared / "manifest.parquet").read_bytes()
    shutil.rmtree(prepared)
    option, line = array
    first, last = map(int, option.rpartition("=")[2].split("-"))
    for number in range(first, last + 1):
        clone.run(line, SLURM_ARRAY_TASK_ID=str(number))
    assert (prepared / "manifest.parquet").read_bytes() == manifest

    for line in commands("training.md")[0]:
        clone.run(line)
    assert (tmp_path / "runs/tiny/diffae.safetensors").is_file()

    (block,) = commands("evaluation.md")
    (results,) = (tmp_path / "results/voxceleb256").glob("measured/ours-*/predictions")
    for name in ("fomm", "lia"):
        shutil.copytree(results, tmp_path / "results" / name)
    for line in block:
        clone.run(line)
    rows = [list(report["self"]) for report in clone.reports()]
    assert ["ours", "FOMM", "LIA", "copy_source"] in rows
    assert ["FOMM", "copy_source"] in rows
