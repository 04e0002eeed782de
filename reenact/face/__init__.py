"""Faces: tracker, identity, head model, crops and landmark maps."""
