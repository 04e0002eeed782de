"""The benchmark scripts run, at tiny size on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = """
from types import SimpleNamespace
from torch import nn
from benchmarks.training import TINY
from diffae import DiffAE

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        model = DiffAE(TINY)
        self.encoder = model.encoder
        for name, part in model.unet.named_children():
            setattr(self, name, part)
        self.__dict__["unet"] = model.unet

    def forward(self, x, t, cond):
        return SimpleNamespace(pred=self.unet(x, t, cond))

def tiny_autoenc():
    conf = SimpleNamespace(make_model=Network)
    return SimpleNamespace(make_model_conf=lambda: conf)
"""


def run(*words: str) -> str:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_every_part_of_the_gpu_script_works(tmp_path: Path):
    out = tmp_path / "gpu.json"
    run("benchmarks.gpu", "--out", str(out), "--tiny", "--device", "cpu")
    report = json.loads(out.read_text())
    assert "error" not in out.read_text()
    for what in report["parts"]["correctness"][:2]:
        assert (what.get("difference", 0) or what.get("levels_max", 0)) == 0
    assert {"align", "reenact", "autoencoder"} <= {
        row.get("stage") for row in report["parts"]["training"]
    }


@pytest.mark.slow
def test_a_step_on_composed_pictures_needs_no_data():
    config = "configs/embedded/reenact.yaml"
    weights = "--set=init=reenact/assets/embedded.safetensors"
    printed = run(
        "benchmarks.training", config, weights, "--set=batch_size=2", "--device=cpu", "--steps=1"
    )
    stage, size, batch, *_ = printed.splitlines()[-1].split()
    assert (stage, size, batch) == ("reenact", "128", "2")


@pytest.mark.slow
def test_a_step_of_stage_align_needs_no_data():
    config = "configs/embedded/align.yaml"
    printed = run("benchmarks.training", config, "--tiny", "--device=cpu", "--steps=1")
    stage, size, batch, *_ = printed.splitlines()[-1].split()
    assert (stage, size, batch) == ("align", "32", "32")


@pytest.mark.slow
def test_the_same_network_under_the_official_interface_gives_the_same(tmp_path: Path):
    (tmp_path / "templates.py").write_text(OFFICIAL)
    options = ["--template=tiny_autoenc", "--size=32", "--device=cpu", "--turns=1"]
    lines = run("benchmarks.peers", str(tmp_path), *options).splitlines()
    difference = {line[:16].strip(): float(line.split()[-1]) for line in lines[1:]}
    assert difference["here, float32"] < 1e-5
    assert 0 < difference["here, bfloat16"] < 0.5
