"""The one place that knows which face stacks there are.

To add a stack, write a sub-package of `reenact.face` with an `entry.py` like those of the others,
name it in `STACKS`, and give its settings a field of the same name in `FaceConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from reenact.errors import UserError
from reenact.face.open import entry as open_entry
from reenact.face.released import entry as released_entry
from reenact.face.released.config import ReleasedConfig
from reenact.face.stack import FaceModel, FaceStack, OwnWeights, StackEntry

DEFAULT = "open"
STACKS: Mapping[str, StackEntry] = {
    "open": open_entry.ENTRY,
    "released": released_entry.ENTRY,
}
"""Every face stack by the name that configs, manifests and messages call it."""


@dataclass(frozen=True, kw_only=True)
class FaceConfig:
    """Which face stack reads and draws faces: the one whose section is given, else the open one.

    released: the authors' stack (FLAME, EMOCA, ETH-XGaze).
    """

    released: ReleasedConfig | None = None

    def __post_init__(self) -> None:
        if len(self._given) > 1:
            raise UserError(f"face: {' and '.join(self._given)} are given, keep one of them")

    @property
    def _given(self) -> list[str]:
        return [f.name for f in fields(self) if getattr(self, f.name) is not None]

    @property
    def name(self) -> str:
        """The stack's name in `STACKS`."""
        return next(iter(self._given), DEFAULT)

    @property
    def section(self) -> Any:
        """The stack's own settings; None for the open stack, which has none."""
        return getattr(self, self.name, None)

    @property
    def entry(self) -> StackEntry:
        return STACKS[self.name]


def make_face_model(config: FaceConfig, device: torch.device) -> FaceModel[Any]:
    """The head model and its drawing. Use it where faces come as parameters, as in training.

    Raises UserError or CheckpointError for a missing or foreign file.
    """
    return config.entry.load_model(config.section, device)


def make_face_stack(config: FaceConfig, device: torch.device) -> FaceStack[Any]:
    """The same with the networks that read pictures. Raises UserError or CheckpointError."""
    return config.entry.load_stack(config.section, device)


def own_weights(config: FaceConfig) -> OwnWeights:
    """The reenactor's weights where the config names none. Raises UserError for missing ones."""
    return config.entry.weights(config.section)
