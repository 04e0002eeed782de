import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from reenact.config import from_dict, load_config, to_dict
from reenact.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True, kw_only=True)
class Train:
    batch_size: int
    optimizer: Optimizer = Optimizer()
    mode: Literal["self", "cross"] = "self"
    sizes: tuple[int, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    resume: Path | None = None
    max_steps: int | Literal["all"] = "all"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")


@dataclass(frozen=True, kw_only=True)
class Extra:
    level: int = 0


@dataclass(frozen=True, kw_only=True)
class Run:
    train: Train
    name: str = "run"
    data: Path = Path("data")
    extra: Extra | None = None

    def __post_init__(self) -> None:
        if self.extra is not None:
            raise ValueError("extra: is not wanted here")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def load(text: str, *overrides: str) -> Run:
        Path("run.yaml").write_text(text)
        return load_config("run.yaml", Run, overrides)

    return load


FULL = """
name: first
data: some/where
train:
  batch_size: 8
  optimizer: {learning_rate: 1, betas: [0.5, 1]}
  mode: cross
  sizes: [64, 128]
  weights: {pixel: 1, identity: 0.5}
  resume: null
  max_steps: 10
  compile: yes
"""


def test_every_kind_of_value(load) -> None:
    config = load(FULL)
    assert config == Run(
        name="first",
        data=Path("some/where"),
        train=Train(
            batch_size=8,
            optimizer=Optimizer(learning_rate=1.0, betas=(0.5, 1.0)),
            mode="cross",
            sizes=(64, 128),
            weights={"pixel": 1.0, "identity": 0.5},
            max_steps=10,
            compile=True,
        ),
    )
    assert type(config.train.optimizer.learning_rate) is float
    assert type(config.train.weights["pixel"]) is float


def test_defaults_fill_what_is_not_given(load) -> None:
    assert load("train: {batch_size: 2}") == Run(train=Train(batch_size=2))


def test_stored_config_comes_back_equal(load) -> None:
    config = load(FULL, "train.resume=last.safetensors")
    stored = to_dict(config)
    assert stored["train"]["resume"] == "last.safetensors"
    assert from_dict(Run, stored) == config
    assert from_dict(Run, json.loads(json.dumps(stored))) == config
    assert from_dict(Run, yaml.safe_load(yaml.safe_dump(stored))) == config


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("train: {batchsize: 1}", "train: unknown key 'batchsize', did you mean 'batch_size'?"),
        ("trian: {}", "unknown key 'trian', did you mean 'train'?"),
        ("1: 2", "unknown key 1"),
        ("name: a", "missing required key 'train'"),
        ("train:", "train: missing required key 'batch_size'"),
        ("train: 3", "train: expected keys and values, got 3"),
        ("[1, 2]", "expected keys and values, got [1, 2]"),
        ("train: {batch_size: 1.0}", "train: 'batch_size' must be an integer, got 1.0"),
        ("train: {batch_size: true}", "train: 'batch_size' must be an integer, got true"),
        (
            "train: {batch_size: 1e3}",
            "train: 'batch_size' must be an integer, got '1e3' "
            "(YAML reads 1e3 as text: write 1000)",
        ),
        ("train: {batch_size: 0}", "train: batch_size must be at least 1, got 0"),
        (
            "train: {batch_size: 1, optimizer: {learning_rate: 1e-4}}",
            "train.optimizer: 'learning_rate' must be a number, got '1e-4' "
            "(YAML reads 1e-4 as text: write 1.0e-4)",
        ),
        (
            "train: {batch_size: '8'}",
            "train: 'batch_size' must be an integer, got '8': take it out of the quotes",
        ),
        (
            "train: {batch_size: 1, optimizer: {learning_rate: false}}",
            "train.optimizer: 'learning_rate' must be a number, got false",
        ),
        (
            "train: {batch_size: 1, optimizer: {betas: [0.9]}}",
            "train.optimizer: 'betas' must be a list of 2: a number, a number, got [0.9]",
        ),
        (
            "train: {batch_size: 1, mode: slef}",
            "train: 'mode' must be one of 'self', 'cross', got 'slef', did you mean 'self'?",
        ),
        (
            "train: {batch_size: 1, sizes: [1, a]}",
            "train: 'sizes[1]' must be an integer, got 'a'",
        ),
        (
            "train: {batch_size: 1, sizes: 3}",
            "train: 'sizes' must be a list [...] where each item is an integer, got 3",
        ),
        (
            "train: {batch_size: 1, weights: {pixel: high}}",
            "train.weights: 'pixel' must be a number, got 'high'",
        ),
        (
            "train: {batch_size: 1, max_steps: some}",
            "train: 'max_steps' must be an integer or one of 'all', got 'some'",
        ),
        ("train: {batch_size: 1, resume: 3}", "train: 'resume' must be a path, got 3"),
        ("train: {batch_size: 1, compile: 1}", "train: 'compile' must be true or false, got 1"),
        ("train: {batch_size: 1}\nname: 3", "'name' must be text, got 3: put it in quotes"),
        ("train: {batch_size: 1}\nname:", "'name' must be text, got nothing"),
        ("name: a\nname: b", "line 2: the key 'name' is given twice"),
        ("name: a\ntrain: b: c", "line 2: mapping values are not allowed here"),
        ("train:\n\tx: 1", "line 2: found character '\\t' that cannot start any token"),
        ("data: !!python/name:os.system", "line 1: tags (tag:yaml.org,2002:python"),
    ],
)
def test_mistakes_are_one_line(load, text: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        load(text)
    assert str(caught.value).startswith(f"run.yaml: {line}")
    assert "\n" not in str(caught.value)


def test_overrides_win_and_are_typed(load) -> None:
    config = load(
        "train: {batch_size: 1, resume: a}",
        "train.batch_size=4",
        "train.optimizer.learning_rate=2.0e-3",
        "train.weights.gaze=2",
        "train.resume=null",
        "train.sizes=[1, 2]",
        "name=b=c",
    )
    assert config.name == "b=c"
    assert config.train == Train(
        batch_size=4,
        optimizer=Optimizer(learning_rate=2e-3),
        weights={"gaze": 2.0},
        sizes=(1, 2),
    )


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "train.batchsize=4",
            "train.batchsize: unknown key 'batchsize', did you mean 'batch_size'?",
        ),
        (
            "train.optimizer.learning_rate=1e-4",
            "train.optimizer.learning_rate: 'learning_rate' must",
        ),
        ("train.sizes=[1, x]", "train.sizes[1]: 'sizes[1]' must be an integer, got 'x'"),
        ("train.batch_size", "train.batch_size: write it as section.key=value"),
        ("train..batch_size=1", "train..batch_size=1: write it as section.key=value"),
        ("train.batch_size.x=1", "train.batch_size.x=1: 'batch_size' is a value, not a section"),
        ("name=[1", "name=[1: the value is not valid YAML"),
        ("train=3", "train: expected keys and values, got 3"),
        ("extra.level=1", "extra.level: is not wanted here"),
        ("extra.levle=1", "extra.levle: unknown key 'levle', did you mean 'level'?"),
    ],
)
def test_override_mistakes_blame_the_command_line(load, override: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        load("train: {batch_size: 1}", override)
    assert str(caught.value).startswith(f"--set {line}")


def test_unreadable_files_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.yaml: no such file"):
        load_config(tmp_path / "no.yaml", Run)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UserError, match=r"latin\.yaml: is not a YAML text file"):
        load_config(tmp_path / "latin.yaml", Run)


def test_aliases_are_refused_before_they_grow(load):
    bomb = "a: &a [1, 1]\nb: &b [*a, *a]\nname: [*b, *b]\n"
    with pytest.raises(UserError, match=r"^run.yaml: line 2: aliases \(\*a\) are not read"):
        load(bomb)


def test_deep_nesting_is_one_line(load):
    with pytest.raises(UserError, match="nested too deeply"):
        load("name: " + "[" * 3000 + "]" * 3000)


def test_a_number_that_is_too_large_says_so(load):
    with pytest.raises(UserError, match="too large for a number"):
        load("train: {batch_size: 1e400}")


@pytest.mark.parametrize(
    "text", ["1" * 400, "1" * 5000, "0x" + "F" * 5000, "1:" + "59:" * 500 + "1", "-" + "9" * 400]
)
@pytest.mark.parametrize("key", ["train.batch_size", "train.optimizer.learning_rate", "name"])
def test_integers_without_end_are_one_line(load, text: str, key: str) -> None:
    for where in (lambda: load("train: {batch_size: 1}", f"{key}={text}"), lambda: load(text)):
        with pytest.raises(UserError) as error:
            where()
        assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    "text", ['!!int ""', '!!int "_"', "!!bool abc", "!!timestamp abc", "!!binary x", "!mine {}"]
)
def test_tags_are_refused(load, text: str) -> None:
    with pytest.raises(UserError, match=r"^run.yaml: line 1: tags \(.*\) are not read"):
        load(f"name: {text}")


def test_stored_integers_without_end_are_one_line() -> None:
    for values in ({"batch_size": 10**400}, {"optimizer": {"learning_rate": 10**400}}):
        with pytest.raises(UserError, match=r"too large|bits|finite"):
            from_dict(Run, {"name": "a", "train": {"batch_size": 1} | values})


def test_a_huge_value_is_shown_short(load):
    with pytest.raises(UserError) as error:
        load(f"name: [{', '.join(['1'] * 100_000)}]")
    assert len(str(error.value)) < 200
