"""Clips on disk: synthetic generation and reading."""
