"""Ranges of the numbers in configs: declared beside the fields, checked when a config is made.

    @dataclass(frozen=True, kw_only=True)
    class OptimizerConfig(Checked):
        '''How the weights are updated.

        lr: learning rate of Adam.
        num_steps: optimizer steps of the whole run.
        '''

        lr: Positive = 1e-4
        num_steps: Count
        dropout: Annotated[float, Range(at_least=0, below=1)] = 0.0

The YAML loader checks the same ranges and names the file and the key. The class docstring explains
every field in one paragraph that starts with `name: `; docs/config.md is made of these paragraphs.
"""

import dataclasses
import sys
import typing
from collections.abc import Iterator
from typing import Annotated, Any

from reenact.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers that a field accepts. A bound of None is no bound; numbers are always finite."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            abs(value) <= sys.float_info.max  # also for an integer that is above every float
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """The range in words, for example "at least 0 and below 1"."""
        bounds = dataclasses.asdict(self)
        words = [f"{n.replace('_', ' ')} {v:g}" for n, v in bounds.items() if v is not None]
        return " and ".join(words) or "a finite number"


Count = Annotated[int, Range(at_least=1)]
CountOrZero = Annotated[int, Range(at_least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(at_least=0)]
Share = Annotated[float, Range(at_least=0, at_most=1)]
Seed = Annotated[int, Range(at_least=0, at_most=2**63 - 1)]


class Checked:
    """Base of config dataclasses: construction raises UserError for a number out of its range.

    A subclass with a `__post_init__` of its own calls `super().__post_init__()` first.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self), include_extras=True)
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            problem = range_problem(getattr(self, field.name), hints[field.name])
            if problem is not None:
                raise UserError(f"{field.name}: {problem}")


def range_problem(value: Any, kind: Any) -> str | None:
    """Why `value` does not suit the annotation `kind`, or None if it does.

    Only numbers are looked at, also those inside of tuples, lists and dicts. A number without a
    `Range` must be finite.
    """
    for number, allowed in _numbers(value, kind, Range()):
        if number not in allowed:
            try:
                shown = f"{number:.6g}"
            except OverflowError:
                shown = f"a number of {number.bit_length()} bits"  # type: ignore[attr-defined]
            return f"must be {allowed}, got {shown}"
    return None


def _numbers(value: Any, kind: Any, allowed: Range) -> Iterator[tuple[float, Range]]:
    """Every number in `value` with the innermost range that stands around it in `kind`."""
    if typing.get_origin(kind) is Annotated:
        kind, *notes = typing.get_args(kind)
        allowed = next((note for note in notes if isinstance(note, Range)), allowed)
        yield from _numbers(value, kind, allowed)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        annotated = (k for k in typing.get_args(kind) if typing.get_origin(k) is Annotated)
        ranges = [n for k in annotated for n in typing.get_args(k)[1:] if isinstance(n, Range)]
        yield value, (ranges[0] if ranges else allowed)
    elif isinstance(value, (tuple, list)):
        kinds = [k for k in typing.get_args(kind) if k is not Ellipsis]
        for i, item in enumerate(value):
            yield from _numbers(item, kinds[min(i, len(kinds) - 1)] if kinds else None, allowed)
    elif isinstance(value, dict):
        inner = typing.get_args(kind)[1:]
        for item in value.values():
            yield from _numbers(item, inner[0] if inner else None, allowed)
