"""The command line with files made by the fill rule: noise as a picture, by the true path."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reenact.commands.main import run_command
from reenact.media.images import read_frame
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "released.yaml"
EMOCA = (
    "EMOCA/models/EMOCA_v2_lr_mse_20/detail/checkpoints/"
    "deca-epoch=10-val_loss/dataloader_idx_0=3.25521111.ckpt"
)


def infer(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        str(ROOT / "infer.py"),
        *map(str, arguments),
        "--config",
        str(CONFIG),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_every_missing_file_is_in_one_line(tmp_path, capsys):
    photo = str(ROOT / "reenact" / "assets" / "demo_source.png")
    words = [photo, photo, "--config", str(CONFIG), "--output", str(tmp_path / "result.png")]
    folder = f"face.released.files.folder={tmp_path}"
    assert run_command("infer", "infer", [*words, "--set", folder]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for name in ("diffusionact_model.pt", "*.ckpt", "gaze_estimation", "s3fd-", "2DFAN4-"):
        assert name in error
    assert "5 files are missing" in error
    assert "last.ckpt" not in error


@pytest.fixture(scope="module")
def folder(tmp_path_factory, golden, fill_state, flame_tensors) -> Path:
    keys = golden("keys.json")
    folder = tmp_path_factory.mktemp("weights")
    nets = {"state_dict_net": "net:", "state_dict_diff": "diff:"}
    released = {name: fill_state(keys[name], prefix) for name, prefix in nets.items()}
    torch.save({"best_val_loss": 0.5} | released, folder / "diffusionact_model.pt")
    for name, prefix, file in (
        ("s3fd", "s3fd:", "s3fd-619a316812.pth"),
        ("fan_2dfan4", "fan:", "2DFAN4-11f355bf06.pth.tar"),
    ):
        state = fill_state(keys[name], prefix)
        torch.save(state, folder / file, _use_new_zipfile_serialization=False)
    gaze = {"model_state": fill_state(keys["gaze"], "gaze:")}
    torch.save(gaze, folder / "gaze_estimation_model.tar")
    emoca = fill_state(keys["emoca"])
    # A face-sized scribble, as in the golden numbers.
    emoca["deca.E_flame.layers.2.bias"][206:209] = torch.tensor([7.0, 0.01, -0.01])
    emoca["deca.E_flame.layers.2.weight"][200:209] *= 0.3
    emoca |= {f"deca.flame.{name}": tensor for name, tensor in flame_tensors.items()}
    (folder / EMOCA).parent.mkdir(parents=True)
    torch.save({"state_dict": emoca, "epoch": 10}, folder / EMOCA)
    return folder


@pytest.mark.slow
def test_photo_and_clip_and_photo_and_picture(folder, shared, tmp_path):
    photo = shared / "samples" / "photo_grey.jpg"
    clip, short = VideoReader(shared / "samples" / "clip_man_25fps.mp4"), tmp_path / "short.mp4"
    with VideoWriter(
        short, width=clip.width, height=clip.height, fps=clip.fps, audio_from=None
    ) as writer:
        for frame, _ in zip(clip, range(3), strict=False):
            writer.write(frame)
    steps = ["--set", "reenactor.num_steps=2", "--set", "reenactor.encode_steps=2"]
    place = ["--set", f"face.released.files.folder={folder}"]
    result = tmp_path / "result.mp4"
    done = infer(photo, short, "--output", result, "--grid", *place, *steps)
    assert done.returncode == 0, done.stderr
    frames = np.stack(list(VideoReader(result)))
    assert frames.shape == (3, 256, 768, 3)
    assert VideoReader(result).fps == clip.fps
    assert frames[:, :, 512:].std() > 10

    picture = tmp_path / "picture.png"
    compat = ["--set", "face.released.compat=true", "--set", "levels=stretched"]
    done = infer(photo, photo, "--output", picture, *place, *steps, *compat)
    assert done.returncode == 0, done.stderr
    frame = read_frame(picture)
    assert frame.shape == (256, 256, 3)
    assert (frame.min(), frame.max()) == (0, 255)
