"""Clips on disk: how they are made, stored and read."""
