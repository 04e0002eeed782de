"""The published architecture at 256 px: one step of stage `reenact` on any machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

STEP = """
import json, resource, runpy, sys
from pathlib import Path
import torch
from diffae import DiffAE, save_checkpoint
from reenact.config import load_config
from reenact.models.released import PUBLISHED_CONFIG
from reenact.training.run_config import TrainRun
from reenact.training.session import open_session
from reenact.training.loop import train_step

torch.manual_seed(0)
diffae = DiffAE(PUBLISHED_CONFIG)
for parameter in diffae.parameters():
    if not parameter.any():  # zero convolutions would keep every gradient from the encoder
        torch.nn.init.normal_(parameter, std=0.01)
init = Path(sys.argv[1]) / "diffae.safetensors"
save_checkpoint(diffae, init)
del diffae
settings = [f"init={init}", "batch_size=1", "recompute_blocks=true"]
settings += [f"reenact.{setting}" for setting in (
    "render_steps=2", "grad_steps=1", "encode_steps=2", "weights.shape=0.0", "weights.gaze=0.0",
    "weights.head_pose=0.0",
)]
run = load_config(Path("configs/voxceleb256/reenact.yaml"), TrainRun, settings)
session = open_session(run, torch.device("cpu"))
batch = runpy.run_path("benchmarks/training.py")["noise_batch"](1, 256)
before = {n: p.detach().clone() for n, p in session.model.encoder.named_parameters()}
frozen = [p.detach().clone() for p in session.stage.diffae.unet.out.parameters()]
is_finite, tallies = train_step(session, batch, 0)
after = dict(session.model.encoder.named_parameters())
print(json.dumps({
    "finite": is_finite,
    "losses": {name: float(value[0] / value[1]) for name, value in tallies.items()},
    "moved": sum(not torch.equal(after[n], p) for n, p in before.items()) / len(before),
    "frozen": all(torch.equal(a, b)
                  for a, b in zip(frozen, session.stage.diffae.unet.out.parameters())),
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


@pytest.mark.slow
def test_a_step_of_the_published_architecture_fits_into_8_gb(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["finite"]
    wanted = {"loss", "pixel", "perceptual", "style", "background", "identity", "grad_norm"}
    assert result["losses"].keys() == wanted
    assert result["losses"]["grad_norm"] > 0
    assert result["moved"] > 0.9
    assert result["frozen"]
    assert result["memory"] < 8
