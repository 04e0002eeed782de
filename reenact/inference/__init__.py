"""Reenactment with trained weights: one source photo, any target video or picture."""
