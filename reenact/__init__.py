"""Face reenactment with a diffusion autoencoder: faces, training, inference and evaluation.

The names below are loaded when they are first used, so that `import reenact` takes no time.
docs/python.md shows how they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reenact.errors import UserError
    from reenact.face.control import Sliders
    from reenact.inference.config import ReenactorConfig
    from reenact.inference.motion import Motion
    from reenact.inference.reenactor import Reenactor

__all__ = ["Motion", "Reenactor", "ReenactorConfig", "Sliders", "UserError"]

_HOMES = {
    "Motion": "reenact.inference.motion",
    "Reenactor": "reenact.inference.reenactor",
    "ReenactorConfig": "reenact.inference.config",
    "Sliders": "reenact.face.control",
    "UserError": "reenact.errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'reenact' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
