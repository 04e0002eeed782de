import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from diffae import load_checkpoint
from reenact.config import to_dict
from reenact.errors import UserError
from reenact.training import checkpoint, log, session
from reenact.training.loop import save, train

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).resolve().parents[2]
SPEEDS = {"images_per_second", "data_wait"}


def state_of(run):
    return torch.load(run.run_dir / "checkpoint.pt", weights_only=True)


def records(run):
    return [json.loads(line) for line in (run.run_dir / "metrics.jsonl").read_text().splitlines()]


def with_logging(run, **changes):
    return dataclasses.replace(run, logging=dataclasses.replace(run.logging, **changes))


def without_speed(rows):
    return [{n: v for n, v in row.items() if n not in SPEEDS} for row in rows]


def assert_same(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_same(a[name], b[name])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.mark.parametrize(
    ("stage", "scalars_every"), [("autoencoder", 3), ("align", 1), ("reenact", 1)]
)
def test_an_interrupted_run_ends_bit_equal_to_an_unbroken_one(
    make_run, tmp_path, stage, scalars_every
):
    """Logged means too, also when the run is interrupted between two log points."""
    whole = with_logging(make_run(stage), scalars_every=scalars_every)
    train(whole, CPU)
    broken = dataclasses.replace(
        whole,
        run_dir=tmp_path / "broken",
        export=tmp_path / "broken" / "weights.safetensors",
        max_seconds=1e-6,
    )
    # stopped after every single step: four processes in the place of one
    assert [train(broken, CPU) for _ in range(4)] == [1, 2, 3, 4]
    a, b = state_of(whole), state_of(broken)
    for name in ("step", "model", "ema", "optimizer"):
        assert_same(a[name], b[name])
    assert without_speed(records(whole)) == without_speed(records(broken))
    assert whole.export.read_bytes() == broken.export.read_bytes()


def test_a_finished_run_only_says_so(make_run, capsys):
    run = make_run()
    train(run, CPU)
    before = state_of(run)
    assert train(run, CPU) == 4
    assert_same(state_of(run), before)
    assert "4 of 4 steps done" in capsys.readouterr().out


def test_one_frame_is_learnt(make_run, tmp_path):
    run = make_run(
        num_steps=120,
        batch_size=8,
        data={"root": str(make_run().data.root), "split": "val"},
        model={**vars_of(make_run().model), "dropout": 0.0},
        optimizer={"lr": 0.01},
        ema_decay=0.9,
    )
    train(with_logging(run, checkpoint_every=1000), CPU)
    losses = [row["loss"] for row in records(run)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def vars_of(config):
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}


def test_run_folder_holds_config_metrics_previews_and_export(make_run):
    run = with_logging(make_run(), preview_every=2)
    train(run, CPU)
    assert sorted(p.name for p in (run.run_dir / "previews").iterdir()) == [
        "preview_0000002.png",
        "preview_0000004.png",
    ]
    assert json.loads((run.run_dir / "config.json").read_text())["stage"] == "autoencoder"
    rows = records(run)
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "preview/l1_autoencoded" in row] == [2, 4]
    exported, averaged = load_checkpoint(run.export).state_dict(), state_of(run)["ema"]
    assert exported.keys() == averaged.keys()
    assert all(torch.equal(exported[name], averaged[name]) for name in averaged)


def test_tensorboard_events_are_written(make_run):
    pytest.importorskip("tensorboard")
    run = with_logging(make_run(num_steps=1), tensorboard=True)
    train(run, CPU)
    (events,) = (run.run_dir / "tensorboard").glob("events*")
    assert b"stage: autoencoder" in events.read_bytes()


def test_validation_is_never_on_training_clips_without_saying_so(make_run, capsys):
    run = with_logging(make_run(num_steps=1), validate_every=1)
    train(run, CPU)
    assert "val/loss" in records(run)[-1]
    missing = dataclasses.replace(run, data=dataclasses.replace(run.data, val_split="test"))
    with pytest.raises(UserError, match=r"no clips of split 'test'.*val_split to train"):
        train(missing, CPU)
    assert "warning" not in capsys.readouterr().err
    seen = dataclasses.replace(
        run, num_steps=2, data=dataclasses.replace(run.data, val_split="train")
    )
    train(seen, CPU)
    assert "seen/loss" in records(run)[-1]
    assert "val/loss" not in records(run)[-1]
    assert "previews show training clips" in capsys.readouterr().err
    plain = with_logging(missing, validate_every=0)  # nothing needs the split
    assert train(plain, CPU) == 2


def test_people_of_both_splits_are_not_held_out(make_run, capsys):
    run = with_logging(make_run(num_steps=1), validate_every=1)
    manifest = run.data.root / "manifest.json"
    content = json.loads(manifest.read_text())
    for clip in content["clips"]:
        clip["person"] = "the same"
    manifest.write_text(json.dumps(content))
    train(run, CPU)
    assert (
        "people of split val that are in split train, too: 1 (the same" in capsys.readouterr().err
    )


def test_missing_weights_to_start_from_are_named_with_where_to_get_them(make_run):
    run = dataclasses.replace(make_run("align"), init=Path("weights/last.ckpt"))
    with pytest.raises(UserError, match=r"init: .*last.ckpt: no such file; .*reenact weights"):
        train(run, CPU)


KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
import torch
from reenact.config import load_config
from reenact.training.loop import train
from reenact.training.run_config import TrainRun

def killed(content, path):
    Path(path).write_bytes(b"half a file")
    os.kill(os.getpid(), signal.SIGKILL)

torch.save = killed
train(load_config(Path(sys.argv[1]), TrainRun), torch.device("cpu"))
"""


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_checkpoint_leaves_the_old_one(make_run, tmp_path):
    run = make_run(num_steps=1)
    train(run, CPU)
    before = (run.run_dir / "checkpoint.pt").read_bytes()
    longer = dataclasses.replace(run, num_steps=2)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(to_dict(longer)))
    # Not forked: threads of torch do not survive a fork, and the child could wait forever.
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, str(tmp_path / "run.yaml")]
    assert subprocess.run(command, cwd=REPOSITORY, timeout=300).returncode == -signal.SIGKILL
    assert (run.run_dir / "checkpoint.pt").read_bytes() == before
    assert train(longer, CPU) == 2


def test_another_runs_folder_is_refused(make_run):
    run = make_run()
    train(run, CPU)
    with pytest.raises(UserError, match="belongs to another run, its seed is 0, the config's 1"):
        train(dataclasses.replace(run, seed=1), CPU)
    bigger = dataclasses.replace(run.model, z_channels=8)
    with pytest.raises(UserError, match="belongs to another run, its model"):
        train(dataclasses.replace(run, model=bigger), CPU)


def test_two_trainings_in_one_folder_are_refused(make_run):
    run = make_run()
    with (
        checkpoint.claimed(run.run_dir),
        pytest.raises(UserError, match="run: another training runs in this folder"),
    ):
        train(run, CPU)
    train(run, CPU)


def test_an_unreadable_checkpoint_is_a_user_error(make_run):
    run = make_run()
    run.run_dir.mkdir()
    (run.run_dir / "checkpoint.pt").write_bytes(b"PK half a file")
    with pytest.raises(UserError, match="unreadable checkpoint"):
        train(run, CPU)


def test_a_longer_run_goes_on_where_the_shorter_ended(make_run):
    run = make_run(num_steps=2)
    train(run, CPU)
    assert train(dataclasses.replace(run, num_steps=3), CPU) == 3
    assert [row["step"] for row in records(run)] == [1, 2, 3]


def test_a_resumed_run_has_the_settings_of_its_config_and_reads_older_checkpoints(make_run):
    run = make_run(num_steps=2)
    train(run, CPU)
    older = {name: value for name, value in state_of(run).items() if name != "memory"}
    torch.save(older, run.run_dir / "checkpoint.pt")
    optimizer = dataclasses.replace(run.optimizer, betas=(0.5, 0.9))
    train(dataclasses.replace(run, num_steps=3, optimizer=optimizer), CPU)
    (group,) = state_of(run)["optimizer"]["param_groups"]
    assert group["betas"] == (0.5, 0.9)
    assert state_of(run)["step"] == 3


def test_clips_of_another_size_are_refused(make_run):
    run = make_run()
    wrong = dataclasses.replace(run, data=make_run(size=32).data)
    with pytest.raises(UserError, match="clips are 32 px, the model takes 16 px"):
        train(wrong, CPU)


def test_flips_are_refused_where_left_and_right_matter(make_run):
    run = make_run("align")
    augment = dataclasses.replace(run.data.augment, flip=True)
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, augment=augment))
    with pytest.raises(UserError, match="flip must be false"):
        train(run, CPU)


def test_missing_start_weights_are_user_errors(make_run):
    with pytest.raises(UserError, match="model: stage autoencoder needs this section"):
        train(make_run(model=None), CPU)
    for stage in ("align", "reenact"):
        with pytest.raises(UserError, match=f"init: stage {stage} needs the weights"):
            train(make_run(stage, init=None), CPU)


def test_a_step_without_finite_gradient_changes_nothing_and_many_end_the_run(make_run, monkeypatch):
    run = make_run()
    monkeypatch.setattr(log, "MAX_BAD_STEPS", 3)
    spoil_loss(monkeypatch)
    with pytest.raises(UserError, match="3 steps in sequence"):
        train(run, CPU)
    state = state_of(run)
    assert all(torch.isfinite(t).all() for t in state["model"].values())
    assert_same(state["model"], state["ema"])
    assert not run.export.exists()


def test_a_short_run_without_a_finite_gradient_exports_nothing(make_run, monkeypatch):
    spoil_loss(monkeypatch)
    run = make_run()
    with pytest.raises(UserError, match="none of the 4 steps had a finite gradient"):
        train(run, CPU)
    assert not run.export.exists()


def test_weights_that_are_not_finite_end_the_run_before_anything_is_written(make_run):
    run = make_run()
    run.run_dir.mkdir()
    broken = session.open_session(run, CPU)
    next(broken.ema.parameters()).data.fill_(float("inf"))
    with pytest.raises(UserError, match="after step 1 the weights are not finite"):
        save(broken, log.Meter(), 1)
    assert not run.export.exists()
    assert not (run.run_dir / "checkpoint.pt").exists()


def spoil_loss(monkeypatch):
    """Every loss becomes NaN."""
    original = session.make_stage

    def broken_stage(*args):
        stage = original(*args)
        loss = stage.loss

        def bad(model, batch):
            value, tallies = loss(model, batch)
            return value * float("nan"), tallies

        stage.loss = bad
        return stage

    monkeypatch.setattr(session, "make_stage", broken_stage)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_continues(make_run, tmp_path, signum):
    run = make_run()
    command = [sys.executable, "train.py", "--config", "configs/tiny.yaml", "--device", "cpu"]
    settings = [
        f"data.root={make_run(size=32).data.root}",
        f"run_dir={run.run_dir}",
        f"export={run.export}",
        "num_steps=100000",
        "logging.scalars_every=1",
        "logging.preview_every=0",
        "logging.tensorboard=false",
    ]
    for setting in settings:
        command += ["--set", setting]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"})
    metrics = run.run_dir / "metrics.jsonl"
    while not metrics.is_file() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signum)
    assert process.wait(timeout=60) == 130
    step = state_of(run)["step"]
    assert step >= 1
    assert load_checkpoint(run.export)
    more = [*command, "--set", f"num_steps={step + 2}"]
    subprocess.run(more, cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    assert state_of(run)["step"] == step + 2
