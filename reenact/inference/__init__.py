"""Reenactment with trained weights: one source photo, any target video or picture."""

from reenact.inference.reenactor import Reenactor, ReenactorConfig, SourceState

__all__ = ["Reenactor", "ReenactorConfig", "SourceState"]
