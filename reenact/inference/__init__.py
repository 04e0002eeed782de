"""Reenactment with trained weights: one source photo, any target video or picture."""

from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor, SourceState

__all__ = ["Reenactor", "ReenactorConfig", "SourceState"]
