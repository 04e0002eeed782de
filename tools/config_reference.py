"""Write docs/config.md and known_keys.json: every key of every config, from the dataclasses.

python -m tools.config_reference        writes both files
"""

import argparse
import dataclasses
import inspect
import json
import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from reenact.commands.known_keys import TABLE
from reenact.data.prepare.run_config import PrepareRun
from reenact.errors import exit_code
from reenact.evaluation.run_config import EvalRun
from reenact.inference.run_config import InferRun
from reenact.ranges import Range
from reenact.training.run_config import TrainRun

PAGE = Path(__file__).resolve().parents[1] / "docs" / "config.md"
RUNS = {
    "infer": (
        InferRun,
        "`python infer.py --config X.yaml`, for example configs/embedded/infer.yaml",
    ),
    "train": (
        TrainRun,
        "`python train.py --config X.yaml`, for example configs/embedded/align.yaml",
    ),
    "eval": (EvalRun, "`python eval.py --config X.yaml`, for example configs/embedded/eval.yaml"),
    "prepare": (
        PrepareRun,
        "`python -m reenact prepare --config X.yaml`, for example configs/voxceleb256/prepare.yaml",
    ),
}
OPENING = """# Every key of every config

This page is written by `python -m tools.config_reference` from the dataclasses that read the YAML
files. A test compares it with the code.

- A key without a default must be given.
- `null` as a value means that the key is not set.
- `--set section.key=value` on the command line overrides a key. It goes through the same checks.
- An unknown key, a wrong type and a number out of its range are errors. Each error is one line.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """One row of the page."""

    name: str
    kind: str
    default: str
    meaning: str


def page() -> str:
    """The whole page as Markdown."""
    parts = [OPENING]
    for name, (cls, use) in RUNS.items():
        parts.append(f"\n## {name}\n\nRead by {use}.\n")
        parts += [section(cls, "")]
    return "".join(parts)


def known_keys() -> str:
    """The table of reenact/commands/known_keys.py as JSON."""
    return json.dumps({name: outline(cls) for name, (cls, _) in RUNS.items()}, indent=1) + "\n"


def outline(cls: type) -> dict[str, Any]:
    """The keys of a dataclass: the keys of a section, a list of choices, or None for the rest."""
    hints = typing.get_type_hints(cls, include_extras=True)
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.init:
            kind, inner = hints[field.name], nested(hints[field.name])
            choices = list(typing.get_args(kind)) if typing.get_origin(kind) is Literal else None
            keys[field.name] = outline(inner) if inner else choices
    return keys


def section(cls: type, prefix: str) -> str:
    """The table of one dataclass, then the sections below it."""
    hints = typing.get_type_hints(cls, include_extras=True)
    meanings = documented_fields(cls)
    rows, below = [], []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        inner = nested(hints[field.name])
        meaning = meanings.get(field.name, "")
        if inner is not None:
            meaning = " ".join([meaning, f"Section `{prefix}{field.name}` below."]).strip()
            below.append((inner, f"{prefix}{field.name}."))
        rows.append(
            Key(
                name=field.name,
                kind=kind_in_words(hints[field.name]),
                default=default_in_words(field),
                meaning=meaning,
            )
        )
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{k.name}` | {k.kind} | {k.default} | {k.meaning} |" for k in rows]
    title = f"\n### `{prefix[:-1]}`\n\n" if prefix else "\n"
    text = title + opening_sentence(cls) + "\n\n" + "\n".join(lines) + "\n"
    return text + "".join(section(inner, path) for inner, path in below)


def opening_sentence(cls: type) -> str:
    """The first paragraph of the class docstring on one line."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def documented_fields(cls: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each field.

    It reads `name: meaning`, continued with an indent. Several names may share a meaning:
    `width, height: ...`.
    """
    meanings: dict[str, str] = {}
    names: list[str] = []
    texts = [inspect.cleandoc(base.__doc__ or "") for base in reversed(cls.__mro__)]
    for line in "\n\n".join(texts).splitlines():
        head = re.match(r"^([a-zA-Z_]\w*(?:, [a-zA-Z_]\w*)*): (.*)$", line)
        if head:
            names = head[1].split(", ")
            meanings |= dict.fromkeys(names, head[2])
        elif line.startswith("    ") and names:
            meanings |= {name: f"{meanings[name]} {line.strip()}" for name in names}
        else:
            names = []
    return {name: text.replace("|", "\\|") for name, text in meanings.items()}


def nested(kind: Any) -> type | None:
    """The dataclass that a field holds, or None."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return kind
    if typing.get_origin(kind) in (Union, types.UnionType, Annotated):
        return next((n for k in typing.get_args(kind) if (n := nested(k)) is not None), None)
    return None


def kind_in_words(kind: Any) -> str:
    """A type for the reader of a YAML file."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        ranges = [str(note) for note in inner[1:] if isinstance(note, Range)]
        return ", ".join([kind_in_words(inner[0]), *ranges])
    if origin in (Union, types.UnionType):
        return " or ".join(kind_in_words(k) for k in inner)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (tuple, list):
        return f"list of {kind_in_words(inner[0])}"
    if origin is dict:
        return f"keys with {kind_in_words(inner[1])} each"
    if nested(kind):
        return "section"
    names = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path"}
    return "null" if kind is type(None) else names.get(kind, str(kind))


def default_in_words(field: "dataclasses.Field[Any]") -> str:
    """The default as YAML writes it; nothing for a key that must be given."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING or dataclasses.is_dataclass(value):
        return ""
    if value is None or isinstance(value, bool):
        return f"`{ {None: 'null', True: 'true', False: 'false'}[value] }`".replace(" ", "")
    if isinstance(value, (tuple, list)):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, dict):
        return f"`{{{', '.join(f'{k}: {v}' for k, v in value.items())}}}`"
    return f"`{value}`"


def undocumented() -> list[str]:
    """Every key without a meaning, with its class."""
    missing = []

    def look(cls: type) -> None:
        hints, meanings = typing.get_type_hints(cls, include_extras=True), documented_fields(cls)
        for field in dataclasses.fields(cls):
            if field.init and nested(hints[field.name]):
                look(typing.cast(type, nested(hints[field.name])))
            elif field.init and not meanings.get(field.name):
                missing.append(f"{cls.__module__}.{cls.__name__}.{field.name}")

    for cls, _ in RUNS.values():
        look(cls)
    return sorted(set(missing))


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8")
    TABLE.write_text(known_keys(), encoding="utf-8")
    print(f"{PAGE}\n{TABLE}")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
