"""The keys of all configs, known without torch: a mistyped key is refused at once.

The config classes stand beside the networks that they describe, so importing them takes seconds.
`known_keys.json` holds their keys, and the choices where a key has a few. It is written by
`python -m tools.config_reference`, and a test compares it with the classes. What this check lets
pass goes through the full check afterwards.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from reenact.config import load_config

TABLE = Path(__file__).with_name("known_keys.json")


def check_keys(run: str, path: Path, overrides: Sequence[str]) -> None:
    """Raises UserError for an unknown key, and for a value that is none of the choices of its key.

    run: which config it is: infer, train, eval or prepare. path, overrides: as for `load_config`.
    """
    load_config(path, _outline(json.loads(TABLE.read_text(encoding="utf-8"))[run]), overrides)


def _outline(keys: dict[str, Any]) -> type:
    """A dataclass with these keys that accepts any value where the table has no choices."""
    fields = [(name, _kind(value), dataclasses.field(default=None)) for name, value in keys.items()]
    return dataclasses.make_dataclass("Outline", fields, kw_only=True)


def _kind(value: Any) -> Any:
    if isinstance(value, dict):
        return _outline(value) | None
    return Any if value is None else Literal[tuple(value)]
