"""Config files, `--set` options and file names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reenact.commands.configs import config_names, find_config
from reenact.data.prepare.run_config import PrepareRun
from reenact.evaluation.run_config import EvalRun
from reenact.inference.run_config import InferRun
from reenact.training.run_config import TrainRun
from tools.fuzz import material
from tools.fuzz.case import Case
from tools.fuzz.typed import keys, one_of, value

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 60, 10**20, -(10**20), 0.0, 0.5, -0.5, 1e-30, 1e30),
    *(float("nan"), float("inf"), -float("inf"), "", "auto", "source", "x" * 300, "\x07", "é"),
    *([], [1], [1, "a"], {}, {"a": 1}, [[[[[[[[]]]]]]]], "1e400", "1e-4", ".", "/", "null"),
)
TEXTS = (
    *("1" * 400, "1" * 5000, "0x" + "F" * 5000, "1:" + "59:" * 500 + "1", "1e400", "2026-13-45"),
    *('!!int ""', "!!bool x", "!!python/name:os.system", "*a", "&a [*a]", "[" * 3000, "{a: {a: 1"),
    *("? [1]", "<<: 3", "- 1", "'", "%", "0b_", "~", ".", "---", "\ufeff1", "# 1", "|", "\t1"),
)
"""What YAML itself reads in a special way, or not at all."""
NAMES = (
    *("result.mp4", "résultat.mp4", "结果" * 40 + ".mp4", "-out.mp4", "a b'c\".mp4", "x.MP4"),
    *("result", "result.avi", "no/such/folder/result.mp4", "." * 50 + ".mp4", "n" * 251 + ".mp4"),
    *("n" * 300 + ".mp4", "tab\t.mp4", "line\n.mp4", "result.mp4/", "source.png", "target.mp4"),
)

SLOW = ("num_steps", "encode_steps", "output_size", "max_side")
"""Keys that would render millions of pixels or thousands of steps, for minutes."""


def options(rng: np.random.Generator, cls: type, count: int) -> list[str]:
    """Random `--set` options: most have the right type; some name no key or are no options."""
    kinds = keys(cls)
    names = sorted(kinds)
    if rng.random() < 0.8:  # the many keys of the authors' files would hide the others
        names = [name for name in names if not name.startswith("face")]
    return [_option(rng, kinds, names) for _ in range(count)]


def _option(rng: np.random.Generator, kinds: dict[str, Any], names: list[str]) -> str:
    name = one_of(rng, names)
    if rng.random() < 0.75:
        return f"--set={name}={_in_yaml(value(rng, kinds[name]))}"
    if rng.random() < 0.3:
        name = one_of(rng, ("a", "x.y", "=", ""))
    text = one_of(rng, TEXTS) if rng.random() < 0.3 else _in_yaml(one_of(rng, VALUES))
    return f"--set={name}={text}"


def _in_yaml(value: Any) -> str:
    lines = yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()
    return lines[0] if lines else ""


def option_case(rng: np.random.Generator, folder: Path) -> Case:
    """A good run with random options."""
    source = material.write_photo(folder / "source.png")
    target = material.write_photo(folder / "target.png")
    output = folder / "result.png"
    words = material.inference(folder, source, target, output)
    extra = options(rng, InferRun, int(rng.integers(1, 4)))
    extra = [word for word in extra if not any(name in word for name in SLOW)]
    return Case(kind="option", words=(*words, *extra), output=output, files=(source, target))


def train_case(rng: np.random.Generator, folder: Path) -> Case:
    """A training with random options and without data: it must end before it starts."""
    names = [n for n in config_names() if not n.endswith(("infer", "eval", "prepare", "released"))]
    words = ["train", "--config", str(rng.choice(names)), "--device", "cpu"]
    words += options(rng, TrainRun, int(rng.integers(1, 5)))
    moved = [f"--set=data.root={folder}/none", f"--set=run_dir={folder}/run"]
    return Case(kind="train", words=(*words, *moved, f"--set=export={folder}/weights.safetensors"))


def config_case(rng: np.random.Generator, folder: Path) -> Case:
    """A shipped config whose text was damaged."""
    commands = {"infer": InferRun, "eval": EvalRun, "train": TrainRun, "prepare": PrepareRun}
    name = str(rng.choice(config_names()))
    last = name.rsplit("/", 1)[-1]
    command = last if last in commands else "infer" if last == "released" else "train"
    text = find_config(name).read_bytes()
    path = folder / "run.yaml"
    lines = text.splitlines(keepends=True)
    match int(rng.integers(5)):
        case 0:
            path.write_bytes(material.damaged(rng, text))
        case 1:
            rng.shuffle(lines)
            path.write_bytes(b"".join(lines))
        case 2:
            at = int(rng.integers(len(lines)))
            path.write_bytes(b"".join([*lines[:at], *lines[at + 1 :]]))
        case 3:
            at = int(rng.integers(len(lines)))
            lines[at] = lines[at].split(b":")[0] + b": " + one_of(rng, TEXTS).encode() + b"\n"
            path.write_bytes(b"".join(lines))
        case _:
            chosen = one_of(rng, VALUES)
            path.write_text(
                yaml.safe_dump(dict.fromkeys(list(keys(commands[command]))[:3], chosen))
            )
    words = [command, "--config", str(path), "--device", "cpu"]
    if command == "infer":
        source = material.write_photo(folder / "source.png")
        words = ["infer", str(source), str(folder / "none.mp4"), *words[1:]]
    if command == "train":
        words += [f"--set=data.root={folder}/none", f"--set=run_dir={folder}/run"]
        words += [f"--set=export={folder}/weights.safetensors"]
    if command == "eval":
        words += [f"--set=data.folder={folder}/none", f"--output={folder}/report"]
        words += ["--set=data.synthetic=null"]
    if command == "prepare":
        words += [f"--set=source.root={folder}/none", f"--set=out={folder}/data"]
    return Case(kind="config", words=tuple(words), files=(path,))


def name_case(rng: np.random.Generator, folder: Path) -> Case:
    """Odd names of the output, and places that cannot be written."""
    source = material.write_photo(folder / "source.png")
    target = material.write_clip(folder / "target.mp4")
    output = folder / NAMES[int(rng.integers(len(NAMES)))]
    if rng.random() < 0.15:
        output.mkdir(parents=True, exist_ok=True) if not _exists(output) else None
    words = material.inference(folder, source, target, output)
    known = output if _plain(output) else None
    return Case(kind="name", words=words, output=known, num_frames=4, files=(source, target))


def _plain(output: Path) -> bool:
    """Whether the output is a path that could be written."""
    return len(os.fsencode(output.name)) <= 255 and not output.is_dir()


def _exists(path: Path) -> bool:
    try:
        return path.exists() or len(os.fsencode(path.name)) > 255
    except OSError:
        return True
