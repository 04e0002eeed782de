from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diffae import DiffAE, DiffAEConfig, save_checkpoint
from reenact.config import from_dict
from reenact.threads import torch_threads
from reenact.training.run_config import TrainRun
from tests.clip_folders import write_clips

MODEL = {
    "image_size": 16,
    "base_channels": 16,
    "channel_mults": [1, 1],
    "encoder_channel_mults": [1, 1],
    "attention_resolutions": [],
    "num_res_blocks": 1,
    "z_channels": 16,
    "time_channels": 16,
    "dropout": 0.1,
    "prediction": "v",
    "conditioning": "scale_shift",
}
# what needs no network, so that most tests load none
PLAIN_WEIGHTS = {
    "perceptual": 0.0,
    "style": 0.0,
    "identity": 0.0,
    "shape": 0.0,
    "gaze": 0.0,
    "head_pose": 0.0,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that share the work of such small networks mostly wait for each other."""
    with torch_threads(1):
        yield


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., TrainRun]:
    """A tiny run in float32; keyword arguments replace top-level values, `size` is in pixels."""

    def make(stage: str = "autoencoder", *, size: int = 16, **changes: Any) -> TrainRun:
        clips = tmp_path / f"clips{size}"
        if not clips.exists():
            write_clips(clips, size=size)
        model = MODEL | {"image_size": size}
        values: dict[str, Any] = {
            "stage": stage,
            "run_dir": str(tmp_path / "run"),
            "export": str(tmp_path / "run" / "weights.safetensors"),
            "num_steps": 4,
            "batch_size": 2,
            "precision": "fp32",
            "data": {"root": str(clips), "augment": {"colour": 0.1, "degrade": 0.2}},
            "optimizer": {"lr": 0.002, "warmup_steps": 2},
            "logging": {
                "scalars_every": 1,
                "preview_every": 0,
                "checkpoint_every": 2,
                "num_images": 2,
                "num_steps": 2,
                "encode_steps": 2,
                "tensorboard": False,
            },
        }
        if stage == "autoencoder":
            values["model"] = model
        else:
            init = tmp_path / f"diffae{size}.safetensors"
            if not init.exists():
                config = {n: tuple(v) if isinstance(v, list) else v for n, v in model.items()}
                save_checkpoint(DiffAE(DiffAEConfig(**config)), init)
            values["init"] = str(init)
        if stage == "reenact":
            values["reenact"] = {"weights": PLAIN_WEIGHTS, "encode_steps": 2}
        return from_dict(TrainRun, values | changes)

    return make
