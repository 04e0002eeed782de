"""The keys of a config with their types, and random values of a type."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import numpy as np

from reenact.ranges import Range
from tools.config_reference import nested

WORDS = ("auto", "source", "moved", "ddim", "crop", "follow", "", "é", "x" * 300, "../x", "null")
INTEGERS = (0, 1, 2, 3, 4, 8, 16, 60, 128, 1000)
NUMBERS = (0.0, 0.1, 0.5, 1.0, 2.0, 25.0, 30.0, 1000.0)


def keys(cls: type, prefix: str = "") -> dict[str, Any]:
    """Every dotted key of a config with its type; sections are left out, their keys are there."""
    hints = typing.get_type_hints(cls, include_extras=True)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        inner = nested(hints[field.name])
        if inner is not None:
            found |= keys(inner, f"{prefix}{field.name}.")
        elif field.init:
            found[prefix + field.name] = hints[field.name]
    return found


def value(rng: np.random.Generator, kind: Any, allowed: Range | None = None) -> Any:
    """A plain value of the type `kind`, as YAML holds it. Numbers are in `allowed` if possible."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        ranges = [note for note in inner[1:] if isinstance(note, Range)]
        return value(rng, inner[0], ranges[0] if ranges else allowed)
    if origin in (Union, types.UnionType):
        return value(rng, one_of(rng, inner), allowed)
    if origin is Literal:
        return one_of(rng, inner)
    if origin is tuple and Ellipsis not in inner:
        return [value(rng, item, allowed) for item in inner]
    if origin in (tuple, list):
        return [value(rng, inner[0], allowed) for _ in range(int(rng.integers(4)))]
    if origin is dict:
        return {one_of(rng, WORDS[:6]): value(rng, inner[1], allowed)}
    if kind is bool:
        return bool(rng.integers(2))
    if kind in (int, float):
        numbers: Sequence[Any] = INTEGERS if kind is int else NUMBERS
        return one_of(rng, [n for n in numbers if allowed is None or n in allowed] or numbers)
    if kind is Path:
        return one_of(rng, (".", "none", "source.png", "no/folder", "/"))
    return one_of(rng, WORDS) if kind is str else None


def one_of(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    """One of the choices, of its own type (`rng.choice` would make numpy values)."""
    return choices[int(rng.integers(len(choices)))]
