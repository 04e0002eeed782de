"""What a training config may say: sections of its own stage, and numbers in their ranges."""

import pytest
import torch

from reenact.config import from_dict, to_dict
from reenact.errors import UserError
from reenact.training.loop import train
from reenact.training.run_config import TrainRun

BASE = {
    "stage": "reenact",
    "run_dir": "run",
    "export": "run/weights.safetensors",
    "init": "diffae.safetensors",
    "num_steps": 4,
    "batch_size": 2,
    "data": {"root": "clips"},
}


def with_value(key: str, value: object) -> dict:
    """BASE with the value of a dotted key; the stage is the one whose section the key names."""
    values: dict = {name: dict(v) if isinstance(v, dict) else v for name, v in BASE.items()}
    first = key.split(".")[0]
    if first in ("autoencoder", "align"):
        values["stage"] = first
    *sections, last = key.split(".")
    inner = values
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[last] = value
    return values


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_steps", -5),
        ("num_steps", 0),
        ("batch_size", 10**9),
        ("accumulate", 0),
        ("seed", -1),
        ("seed", 10**20),
        ("ema_decay", 7.0),
        ("ema_decay", 1.0),
        ("max_seconds", 0.0),
        ("optimizer.lr", -1.0),
        ("optimizer.lr", float("nan")),
        ("optimizer.lr", 1e30),
        ("optimizer.betas", [0.9, 1.0]),
        ("optimizer.weight_decay", float("inf")),
        ("optimizer.grad_clip", -1.0),
        ("optimizer.warmup_steps", -1),
        ("optimizer.final_lr_fraction", 1.5),
        ("logging.scalars_every", -1),
        ("logging.num_images", 0),
        ("logging.num_images", 10**9),
        ("logging.num_validation", 0),
        ("logging.num_steps", 60),
        ("logging.encode_steps", 60),
        ("data.num_workers", -1),
        ("data.augment.colour", -0.1),
        ("data.augment.degrade", 2.0),
        ("data.augment.misfit", float("inf")),
        ("data.augment.blur_sigma", -1.0),
        ("data.augment.noise_std", float("nan")),
        ("data.augment.jpeg_quality", [0, 90]),
        ("data.augment.jpeg_quality", [90, 30]),
        ("autoencoder.t_power", 0.0),
        ("align.cross_fraction", 1.1),
        ("align.cross_start", -1),
        ("reenact.render_steps", 60),
        ("reenact.render_steps", 0),
        ("reenact.encode_steps", 60),
        ("reenact.grad_steps", -1),
        ("reenact.one_step_t", [500, 1000]),
        ("reenact.strength", 1.5),
        ("reenact.strength", 0.5),  # with render: one_step
        ("reenact.source_start_fraction", 0.5),  # with render: one_step
        ("reenact.one_step_t", [500, 400]),
        ("reenact.cross_fraction", float("nan")),
        ("reenact.cross_start", -1),
        ("reenact.weights.pixel", -1.0),
        ("reenact.weights.gaze", float("inf")),
    ],
)
def test_a_number_out_of_range_is_one_line_that_names_it(key, value):
    with pytest.raises(UserError) as caught:
        from_dict(TrainRun, with_value(key, value), "run.yaml")
    line = str(caught.value)
    assert line.startswith("run.yaml: ")
    assert "\n" not in line
    assert key.rpartition(".")[2] in line


def test_a_run_has_the_section_of_its_own_stage_only():
    run = from_dict(TrainRun, BASE)
    assert run.reenact is not None
    assert run.align is None
    assert to_dict(run)["reenact"]["render_steps"] == 5  # defaults are stored
    with pytest.raises(
        UserError, match="align: belongs to stage align, this run's stage is reenact"
    ):
        from_dict(TrainRun, BASE | {"align": {"normalise": True}})


def test_a_model_beside_init_is_refused():
    model = {
        "image_size": 16,
        "base_channels": 16,
        "channel_mults": [1, 1],
        "encoder_channel_mults": [1, 1],
    }
    with pytest.raises(UserError, match="model: stage reenact takes the networks of"):
        from_dict(TrainRun, BASE | {"model": model})
    with pytest.raises(UserError, match="model: the file `init` says what the networks are"):
        from_dict(TrainRun, BASE | {"stage": "autoencoder", "model": model})


def test_a_model_too_large_for_any_machine_is_refused(make_run):
    model = {"image_size": 64, "base_channels": 2**13, "channel_mults": [1, 1]}
    run = make_run(model=model | {"encoder_channel_mults": [1, 1]})
    with pytest.raises(UserError, match="billion weights, make it smaller"):
        train(run, torch.device("cpu"))


def test_the_largest_seed_trains(make_run):
    assert train(make_run(seed=2**63 - 1, num_steps=1), torch.device("cpu")) == 1
