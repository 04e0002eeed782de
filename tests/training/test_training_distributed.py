"""Several processes, several parts of a batch: the numbers of one process with the whole batch."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from diffae import DiffAE, load_checkpoint, save_checkpoint
from reenact.config import from_dict, to_dict
from reenact.errors import UserError
from reenact.training.loop import train
from reenact.training.run_config import TrainRun
from reenact.training.session import open_session

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).resolve().parents[2]
SPEEDS = {"images_per_second", "data_wait"}

# What torchrun starts, here without its agent; `BAD` names a process whose second step is NaN.
WORKER = """
import itertools, os, sys
from pathlib import Path
from reenact.config import load_config
from reenact.errors import exit_code
from reenact.training import session
from reenact.processes import joined
from reenact.training.loop import train
from reenact.training.run_config import TrainRun

original = session.make_stage

def make_stage(*args):
    stage = original(*args)
    loss, steps = stage.loss, itertools.count()
    def spoilt(model, batch):
        value, tallies = loss(model, batch)
        is_bad = next(steps) == 1 and os.environ.get("BAD") == os.environ["RANK"]
        return value * (float("nan") if is_bad else 1.0), tallies
    stage.loss = spoilt
    return stage

session.make_stage = make_stage

def main():
    with joined("cpu") as (world, device):
        for path in sys.argv[1:]:
            train(load_config(Path(path), TrainRun), device, world)
    # A thread left behind aborts the process now and then, when it meets the interpreter's end.
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in threads if "gloo" in name or "tcpstore" in name], threads

sys.exit(exit_code(main))
"""


def start(runs: Sequence[TrainRun], size: int, **environment: str) -> list[subprocess.Popen]:
    """`size` processes that train the runs one after the other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = []
    for run in runs:
        run.run_dir.mkdir(parents=True, exist_ok=True)
        paths.append(str(run.run_dir / "run.yaml"))
        Path(paths[-1]).write_text(yaml.safe_dump(to_dict(run)))
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", **environment}
    return [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *paths],
            cwd=REPOSITORY,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]


def train_by(runs: Sequence[TrainRun], size: int, **environment: str) -> None:
    codes = [process.wait(timeout=300) for process in start(runs, size, **environment)]
    assert codes == [0] * size


def elsewhere(run: TrainRun, name: str, **changes: object) -> TrainRun:
    folder = run.run_dir.parent / name
    return dataclasses.replace(
        run, run_dir=folder, export=folder / "weights.safetensors", **changes
    )


def records(run: TrainRun) -> list[dict[str, float]]:
    lines = (run.run_dir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def state_of(run: TrainRun) -> dict:
    return torch.load(run.run_dir / "checkpoint.pt", weights_only=True)


def assert_alike(
    run: TrainRun, other: TrainRun, rounding: float = 1e-5, drift: float = 0.05
) -> None:
    """The same losses and gradient norms up to rounding, and the same way of the weights."""
    ours, theirs = records(run), records(other)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - SPEEDS:
            assert a[name] == pytest.approx(b[name], rel=rounding, abs=1e-9), name
    start = open_session(run, CPU).model.state_dict()
    ends = [state_of(r)["model"] for r in (run, other)]
    way = sum((ends[0][n] - start[n]).square().sum() for n in start)
    apart = sum((ends[0][n] - ends[1][n]).square().sum() for n in start)
    # Adam's steps have the size of the rate even where the gradient is nothing but rounding.
    assert 0 <= apart < drift**2 * way


def a_run(make_run, stage: str, **changes) -> TrainRun:
    """Three steps of five pairs, an uneven number for two processes, on pictures of noise and from
    weights without zeros, so that every gradient is more than rounding. Without dropout, whose
    masks each process and part draws for itself.
    """
    run = make_run(stage, num_steps=3, batch_size=5, **changes)
    for path in sorted(run.data.root.glob("*/*frames.npy")):
        shape = np.load(path).shape
        np.save(path, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    if run.init is not None:
        start = load_checkpoint(run.init)
        diffae = DiffAE(dataclasses.replace(start.config, dropout=0.0))
        diffae.load_state_dict(start.state_dict())
        for parameter in diffae.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
        save_checkpoint(diffae, run.init)
    if run.model is not None:
        run = dataclasses.replace(run, model=dataclasses.replace(run.model, dropout=0.0))
    return run


@pytest.mark.slow
def test_two_processes_do_what_one_does(make_run):
    logging = to_dict(make_run().logging) | {"validate_every": 3, "num_validation": 3}
    runs = [
        a_run(make_run, stage, logging=logging, accumulate=accumulate)
        for stage, accumulate in (("autoencoder", 1), ("align", 1), ("reenact", 2))
    ]
    compare(runs)


@pytest.mark.slow
def test_two_processes_have_the_same_losses_of_all_kinds(make_run):
    values = {"tune_unet": True, "cross_reference": False, "cross_fraction": 0.5}
    settings = values | {"render": "sampler", "render_steps": 2, "encode_steps": 2}
    run = a_run(make_run, "reenact", size=32, accumulate=2, reenact=settings)
    optimizer = dataclasses.replace(run.optimizer, lr=1e-5)
    # the networks that judge are chaotic on noise
    compare([dataclasses.replace(run, optimizer=optimizer)], rounding=2e-3, drift=0.2)


def compare(runs: Sequence[TrainRun], **tolerance: float) -> None:
    alone = [elsewhere(run, f"alone{n}", accumulate=1) for n, run in enumerate(runs)]
    shared = [elsewhere(run, f"shared{n}") for n, run in enumerate(runs)]
    train_by(shared, 2)
    for run, other in zip(alone, shared, strict=True):
        train(run, CPU)
        assert_alike(run, other, **tolerance)
        assert ("val/loss" in records(run)[-1]) == bool(run.logging.validate_every)


@pytest.mark.parametrize("stage", ["autoencoder", "align", "reenact"])
def test_a_batch_in_parts_is_the_whole_batch(make_run, stage):
    whole = elsewhere(a_run(make_run, stage), "whole")
    parts = elsewhere(whole, "parts", accumulate=3)
    train(whole, CPU)
    train(parts, CPU)
    assert_alike(whole, parts)


@pytest.mark.parametrize("stage", ["autoencoder", "reenact"])
def test_recomputed_blocks_change_nothing(make_run, stage):
    plain = elsewhere(a_run(make_run, stage), "plain")
    recomputed = elsewhere(plain, "recomputed", recompute_blocks=True)
    train(plain, CPU)
    train(recomputed, CPU)
    assert_alike(plain, recomputed)


def test_more_parts_than_samples_are_refused(make_run):
    with pytest.raises(UserError, match="batch_size 2: less than 1 processes times accumulate 3"):
        train(make_run(accumulate=3), CPU)


def test_settings_that_cannot_train_are_refused(make_run):
    with pytest.raises(UserError, match="fp16 has too small a range"):
        make_run(precision="fp16")
    with pytest.raises(UserError, match="accumulate: must be at least 1"):
        make_run(accumulate=0)


@pytest.mark.slow
def test_not_a_number_in_one_process_skips_the_step_in_all(make_run):
    run = a_run(make_run, "align")
    train_by([run], 2, BAD="1")
    rows = records(run)
    assert [row["bad_steps"] for row in rows] == [0, 1, 0]
    assert "loss" not in rows[1]
    assert all(torch.isfinite(t).all() for t in state_of(run)["model"].values())


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(make_run):
    run = a_run(make_run, "reenact")
    whole, moved = elsewhere(run, "whole"), elsewhere(run, "moved")
    train(whole, CPU)
    # 2 processes, stopped after the first step; then 1; then 2 to the end
    train_by([dataclasses.replace(moved, max_seconds=1e-6)], 2)
    assert state_of(moved)["step"] == 1
    assert train(dataclasses.replace(moved, max_seconds=1e-6), CPU) == 2
    train_by([moved], 2)
    assert_alike(whole, moved)


@pytest.mark.slow
def test_a_killed_run_ends_as_an_unbroken_one(make_run):
    run = a_run(make_run, "align")
    logging = dataclasses.replace(run.logging, checkpoint_every=3)
    whole = elsewhere(dataclasses.replace(run, num_steps=40, logging=logging), "whole")
    killed = elsewhere(whole, "killed")
    train_by([whole], 2)
    for wanted in (1, 20):
        processes = start([killed], 2)
        metrics = killed.run_dir / "metrics.jsonl"
        while not metrics.is_file() or len(metrics.read_text().splitlines()) < wanted:
            assert all(process.poll() is None for process in processes)
            time.sleep(0.01)
        for process in processes:
            process.kill()
            process.wait()
    train_by([killed], 2)
    first, second = state_of(whole), state_of(killed)
    for part in ("model", "ema"):
        assert all(torch.equal(t, second[part][n]) for n, t in first[part].items())
    losses = [[row["loss"] for row in records(r)] for r in (whole, killed)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_torchrun_stops_all_processes_after_the_same_step(make_run):
    run = dataclasses.replace(a_run(make_run, "align"), num_steps=100_000)
    run.run_dir.mkdir(parents=True)
    path = run.run_dir / "run.yaml"
    path.write_text(yaml.safe_dump(to_dict(run)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "train.py", "--config", str(path)]
    process = subprocess.Popen(
        [*command, "--device", "cpu"], cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    metrics = run.run_dir / "metrics.jsonl"
    while not metrics.is_file() or not metrics.read_text():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    step = state_of(run)["step"]
    assert step >= 1
    assert records(run)[-1]["step"] == step
    train_by([dataclasses.replace(run, num_steps=step + 1)], 2)
    assert state_of(run)["step"] == step + 1


def test_a_stored_config_of_before_still_reads(make_run):
    values = to_dict(make_run())
    for name in ("accumulate", "recompute_blocks", "compile", "face"):
        values.pop(name)
    assert from_dict(TrainRun, values) == make_run()
