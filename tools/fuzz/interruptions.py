"""Signals at random moments, and streams that are closed, full or plain ASCII."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from tools.fuzz import material
from tools.fuzz.case import Case, Interruption

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REDIRECTIONS = (">&-", "2>&-", ">&- 2>&-", ">/dev/full", "| true", "2>/dev/full")


def signal_case(rng: np.random.Generator, folder: Path) -> Case:
    """A good run that a signal ends somewhere between its first import and its last frame."""
    signum = int(SIGNALS[int(rng.integers(len(SIGNALS)))])
    # Before this time Python itself starts, and nothing of ours can answer.
    delay = float(rng.uniform(0.5, 6))
    return _good_run(folder, "signal", Interruption(signum=signum, delay=delay))


def stream_case(rng: np.random.Generator, folder: Path) -> Case:
    """A good run whose stdout or stderr cannot be written."""
    redirection = REDIRECTIONS[int(rng.integers(len(REDIRECTIONS)))]
    return _good_run(folder, "stream", Interruption(redirection=redirection))


def _good_run(folder: Path, kind: str, interruption: Interruption) -> Case:
    source = material.write_photo(folder / "source.png")
    target = material.write_clip(folder / "target.mp4")
    output = folder / "result.mp4"
    return Case(
        kind=kind,
        words=material.inference(folder, source, target, output),
        output=output,
        num_frames=material.NUM_FRAMES,
        files=(source, target),
        interruption=interruption,
    )
