"""The options of the commands that animate: right and wrong values, files that do not fit."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import numpy as np

from reenact.commands.arguments import Parser
from reenact.commands.main import COMMANDS
from tools.fuzz import material
from tools.fuzz.case import Case
from tools.fuzz.typed import one_of

NAMES = ("infer", "pose", "motion", "batch", "live", "faces")
"""Commands with a parser that is tried as a whole; one that is not there yet is left out."""
NUMBERS = ("0", "1", "2", "3", "-1", "0.5", "1.5", "1e30", "nan", "inf", "9" * 30, "x", "", "٣")
WORDS = (
    "first",
    "closest",
    "largest",
    "leftmost",
    "all",
    "1,2",
    "1",
    "-1",
    "x",
    "",
    "é",
    "@smile",
    "@nothing",
)
GIVEN = ("--config", "--set", "--device", "-h", "--list", "--no-window", "--virtual-camera")
"""Options that a case always has in the same way, or never."""


def command_case(rng: np.random.Generator, folder: Path) -> Case:
    """A command with some of its options. Half of the files are good, and the weights are tiny."""
    name = one_of(rng, [name for name in NAMES if name in COMMANDS])
    files = _files(folder)
    output = folder / {"pose": "a.png", "motion": "a.motion.safetensors"}.get(name, "a.mp4")
    weights = material.write_weights(folder / "tiny.safetensors")
    words = [name, "--device", "cpu", f"--set=weights={weights}", "--set=output_size=32"]
    words += ["--no-window"] if name == "live" else []
    parser = Parser(name, "")
    importlib.import_module(COMMANDS[name][0]).add_arguments(parser)
    for action in parser._actions:
        option = action.option_strings[0] if action.option_strings else None
        if option in GIVEN:
            continue
        if option in ("--output", "--out"):
            words.append(f"{option}={output if option == '--output' else folder / 'out'}")
        elif option is None or action.required or action.dest == "input":
            words += [option] if option else []
            words += _places(rng, action, files)
        elif rng.random() < 0.12:
            words += [option] if action.nargs == 0 else [f"{option}={_value(rng, action)}"]
    known = None if name == "batch" else output  # batch names its results itself
    return Case(kind="command", words=tuple(words), output=known, files=tuple(files))


def _files(folder: Path) -> list[Path]:
    """A photo, a video, a motion file, a text, and the name of a missing file."""
    motion, text = folder / "target.motion.safetensors", folder / "text.jpg"
    motion.write_bytes(material.motion())
    text.write_text("no picture")
    photo = material.write_photo(folder / "photo.png")
    return [photo, material.write_clip(folder / "clip.mp4"), motion, text, folder / "none.mp4"]


def _places(rng: np.random.Generator, action: argparse.Action, files: list[Path]) -> list[str]:
    """A file for an argument, mostly one that fits; two for a list of files."""
    photo, clip = files[:2]
    fitting = photo if action.dest in ("source", "sources", "picture") else clip
    several = action.nargs == "+" or (action.nargs == "*" and rng.random() < 0.2)
    count = 2 if several else 1
    return [str(fitting if rng.random() < 0.7 else one_of(rng, files)) for _ in range(count)]


def _value(rng: np.random.Generator, action: argparse.Action) -> str:
    if action.choices is not None and rng.random() < 0.8:
        return str(one_of(rng, list(action.choices)))
    return one_of(rng, WORDS if action.type in (None, str) else NUMBERS)
