import math
import signal
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from diffae import DiffAE
from reenact.config import from_dict, load_config, to_dict
from reenact.errors import UserError
from reenact.training import log as log_module
from reenact.training.log import Meter, RunLog, means, preview_sheet, tally
from reenact.training.loop import stop_on_signal
from reenact.training.loss_terms import LOSSES, LossNets, LossNetworks
from reenact.training.optimizer import (
    OptimizerConfig,
    ema_copy,
    ema_decay,
    lr_at,
    make_optimizer,
    update_ema,
)
from reenact.training.run_config import AutoencoderConfig, TrainRun
from reenact.training.stage_autoencoder import timesteps

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TRAIN_CONFIGS = [
    path
    for path in sorted(CONFIGS.rglob("*.yaml"))
    if any(line.startswith("stage:") for line in path.read_text().splitlines())
]


def test_the_stages_have_configs():
    names = {str(path.relative_to(CONFIGS)) for path in TRAIN_CONFIGS}
    assert names >= {
        "tiny.yaml",
        "embedded/autoencoder.yaml",
        "embedded/align.yaml",
        "embedded/reenact.yaml",
        "voxceleb256/align.yaml",
        "voxceleb256/reenact.yaml",
    }


@pytest.mark.parametrize("path", TRAIN_CONFIGS, ids=lambda p: str(p.relative_to(CONFIGS)))
def test_every_training_config_loads_and_survives_being_stored(path):
    run = load_config(path, TrainRun)
    assert from_dict(TrainRun, to_dict(run)) == run
    if run.stage == "autoencoder" and run.model is not None:
        DiffAE(run.model)


def test_ema_decay_warms_up():
    assert ema_decay(0.999, 0) == 0.1
    assert ema_decay(0.999, 90) == 0.91
    assert ema_decay(0.999, 10**6) == 0.999


def test_ema_moves_by_one_minus_decay_and_stays_apart():
    model = torch.nn.BatchNorm1d(1)
    average = ema_copy(model)
    with torch.no_grad():
        model.weight.fill_(11)
        model.running_mean.fill_(5)
    update_ema(average, model, 0.9, step=10**6)
    assert average.weight.item() == pytest.approx(2)
    assert average.running_mean.item() == 5
    assert model.weight.item() == 11
    assert not average.weight.requires_grad
    assert not average.training


def test_lr_rises_linearly_then_stays():
    config = OptimizerConfig(lr=1.0, warmup_steps=4)
    assert [lr_at(config, s, 100) for s in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]


def test_lr_falls_along_a_cosine():
    config = OptimizerConfig(lr=0.5, warmup_steps=10, decay="cosine", final_lr_fraction=0.1)
    assert lr_at(config, 10, 110) == pytest.approx(0.5)
    assert lr_at(config, 60, 110) == pytest.approx(0.5 * 0.55)
    assert lr_at(config, 110, 110) == pytest.approx(0.05)
    assert lr_at(config, 35, 110) == pytest.approx(
        0.5 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))
    )


def test_optimizer_takes_its_settings():
    parameter = torch.nn.Parameter(torch.zeros(1))
    adam = make_optimizer([parameter], OptimizerConfig(lr=0.5, betas=(0.8, 0.9)))
    adamw = make_optimizer([parameter], OptimizerConfig(name="adamw", weight_decay=0.3))
    assert (type(adam), adam.defaults["betas"]) == (torch.optim.Adam, (0.8, 0.9))
    assert (type(adamw), adamw.defaults["weight_decay"]) == (torch.optim.AdamW, 0.3)


def test_timesteps_follow_their_distribution():
    u = (torch.arange(10_000) + 0.5) / 10_000
    uniform = timesteps(u, AutoencoderConfig(), 1000)
    assert (uniform.min().item(), uniform.max().item()) == (0, 999)
    assert torch.bincount(uniform).tolist() == [10] * 1000
    high = timesteps(u, AutoencoderConfig(t_sampling="high_noise", t_power=2), 1000)
    # P(t < T/2) = (1/2)^k
    assert (high < 500).float().mean().item() == pytest.approx(0.25, abs=1e-3)
    assert high.max() == 999
    assert timesteps(torch.tensor([1.0]), AutoencoderConfig(), 1000).item() == 999


def test_a_preview_has_a_caption_titles_and_a_row_for_each_sample():
    dark, bright = torch.full((2, 3, 48, 48), -1.0), torch.full((2, 3, 48, 48), 1.0)
    dark[1] = 0
    sheet = preview_sheet({"dark": dark, "bright": bright}, "step 1")
    head = 2 * 18
    assert (sheet.shape, sheet.dtype) == ((head + 2 * 96, 2 * 96, 3), np.uint8)
    rows = sheet[head:]
    assert [int(rows[y, x, 0]) for y, x in ((0, 0), (0, 191), (191, 0), (191, 191))] == [
        0,
        255,
        128,
        255,
    ]
    ink = [
        (sheet[:18] < 128).any(),
        (sheet[18:head, :96] < 128).any(),
        (sheet[18:head, 96:] < 128).any(),
    ]
    assert all(ink)


def test_log_drops_what_an_interrupted_run_left(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    log = RunLog(tmp_path, 2, {"seed": 0}, tensorboard=False)
    log.scalars(3, {"loss": 0.5})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert lines == ['{"step": 1}', '{"step": 2}', '{"step": 3, "loss": 0.5}']


def test_tallies_of_parts_add_up_and_leave_out_what_is_not_chosen():
    values, chosen = torch.tensor([1.0, 2.0, float("inf"), 4.0]), torch.tensor([1, 1, 0, 1]).bool()
    whole = tally(values, chosen)
    assert whole.tolist() == [7, 3]
    assert torch.equal(tally(values[:2], chosen[:2]) + tally(values[2:], chosen[2:]), whole)
    assert means({"a": whole, "none": tally(values, ~chosen & chosen)}) == {"a": 7 / 3}


def test_the_meter_takes_means_over_samples_and_only_counts_bad_steps():
    meter = Meter()
    meter.add({"loss": tally(torch.tensor([1.0, 1.0]))}, 2, is_bad=False)
    meter.add({"loss": tally(torch.tensor([float("nan")]))}, 1, is_bad=True)
    meter.add({"loss": tally(torch.tensor([4.0]))}, 1, is_bad=False)
    values = meter.mean_and_reset()
    assert values.pop("images_per_second") > 0
    assert values == {"loss": 2, "bad_steps": pytest.approx(1 / 3), "data_wait": 0}
    assert meter.mean_and_reset().keys() == {"images_per_second", "data_wait"}


def test_the_meter_takes_the_share_of_the_time_that_steps_wait_for_data(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(log_module.time, "monotonic", lambda: now[0])

    def batches():
        for seconds in (5.0, 1.0, 2.0):
            now[0] += seconds
            yield seconds

    meter = Meter()
    seen = []
    for batch in meter.timed(batches()):
        seen.append(batch)
        now[0] += 3.0  # the step
        if len(seen) == 1:
            meter.restart_clock()  # after a preview: what was before does not count
    assert seen == [5.0, 1.0, 2.0]
    assert meter.mean_and_reset()["data_wait"] == pytest.approx(3 / 9)
    assert meter.mean_and_reset()["data_wait"] == 0


def test_a_second_signal_means_now_unless_patient():
    with stop_on_signal(patient=True) as received:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGINT, signal.SIGTERM]
    with stop_on_signal() as received:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ({"perceptual_net": "lpips_vgg", "perceptual_weights": "none.pth"}, "lpips_vgg needs"),
        ({"identity_net": "arcface"}, "identity_weights is not set; arcface needs"),
    ],
)
def test_a_loss_network_without_weights_is_one_line_with_its_origin(nets, message):
    with pytest.raises(UserError, match=message):
        LossNetworks(LOSSES, from_dict(LossNets, nets), torch.device("cpu"))


class FakeRun(list):
    """Keeps what a run on Weights & Biases gets."""

    def log(self, values, step):
        self.append((step, values))

    def finish(self):
        self.append("finished")


def test_weights_and_biases_gets_the_same_numbers_and_a_continued_run_goes_on(
    tmp_path, monkeypatch
):
    runs = []

    def init(**options):
        runs.append((options, FakeRun()))
        return runs[-1][1]

    fake = types.SimpleNamespace(init=init, Image=lambda frame: frame.shape)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for start in (0, 1):
        log = RunLog(tmp_path, start, {"seed": 3}, tensorboard=False, wandb="faces")
        log.scalars(start + 1, {"loss": 0.5})
        log.preview(start + 1, {"source": torch.zeros(1, 3, 96, 96)}, "caption")
        log.close()
    (first, sent), (second, _) = runs
    assert (first["project"], first["name"], first["config"]) == (
        "faces",
        tmp_path.name,
        {"seed": 3},
    )
    assert first["id"] == second["id"]
    assert second["resume"] == "allow"
    assert sent == [(1, {"loss": 0.5}), (1, {"preview": (132, 96, 3)}), "finished"]


def test_a_missing_wandb_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"logging\.wandb: the package wandb is not installed"):
        RunLog(tmp_path, 0, {}, tensorboard=False, wandb="faces")
