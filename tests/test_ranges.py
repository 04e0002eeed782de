import math
from dataclasses import dataclass, field
from typing import Annotated

import pytest

from reenact.config import from_dict, load_config
from reenact.errors import UserError
from reenact.ranges import Checked, Count, Positive, Range, Seed, Share


@dataclass(frozen=True, kw_only=True)
class Optimizer(Checked):
    lr: Positive = 1e-4
    num_steps: Count = 10
    ema_decay: Annotated[float, Range(at_least=0, below=1)] = 0.9
    final: Share | None = None
    seed: Seed = 0
    betas: tuple[Share, Share] = (0.9, 0.99)
    milestones: tuple[Count, ...] = ()
    weights: dict[str, Positive] = field(default_factory=dict)
    eps: float = 1e-8
    fused: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    optimizer: Optimizer = Optimizer()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("lr", 0.0, "must be above 0, got 0"),
        ("lr", -1.0, "must be above 0, got -1"),
        ("lr", math.nan, "must be above 0, got nan"),
        ("lr", math.inf, "must be above 0, got inf"),
        ("num_steps", -5, "must be at least 1, got -5"),
        ("ema_decay", 7.0, "must be at least 0 and below 1, got 7"),
        ("ema_decay", 1.0, "must be at least 0 and below 1, got 1"),
        ("final", 1.5, "must be at least 0 and at most 1, got 1.5"),
        ("seed", -1, "must be at least 0 and at most 9.22337e+18, got -1"),
        ("seed", 10**20, "must be at least 0 and at most 9.22337e+18, got 1e+20"),
        ("seed", 10**400, "must be at least 0 and at most 9.22337e+18, got a number of 1329 bits"),
        ("betas", (0.9, 1.1), "must be at least 0 and at most 1, got 1.1"),
        ("milestones", (3, 0), "must be at least 1, got 0"),
        ("weights", {"a": -1.0}, "must be above 0, got -1"),
        ("eps", math.inf, "must be a finite number, got inf"),
    ],
)
def test_a_number_out_of_range_is_refused_in_python_and_in_yaml(name, value, problem):
    with pytest.raises(UserError, match=f"^{name}: ") as in_python:
        Optimizer(**{name: value})
    assert str(in_python.value) == f"{name}: {problem}"
    plain = list(value) if isinstance(value, tuple) else value
    with pytest.raises(UserError) as in_yaml:
        from_dict(Run, {"optimizer": {name: plain}}, "run.yaml")
    assert str(in_yaml.value) == f"run.yaml: optimizer: {name}: {problem}"


def test_numbers_in_range_pass():
    config = Optimizer(lr=1.0, final=1.0, seed=2**63 - 1, betas=(0.0, 1.0), milestones=(1, 2))
    assert config.final == 1.0
    assert Optimizer(final=None).final is None


def test_the_command_line_is_blamed_for_its_own_value(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("optimizer: {lr: 0.1}")
    with pytest.raises(UserError, match=r"^--set optimizer\.lr: must be above 0, got -1$"):
        load_config(path, Run, ["optimizer.lr=-1"])
