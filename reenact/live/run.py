"""The loop of a live run: newest frame in, result out, until the end or the key q."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from reenact.errors import UserError, counted, say
from reenact.face.batch import FaceBatch
from reenact.face.stack import SourceFace
from reenact.inference.background import TRANSPARENT
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun, which_face
from reenact.live.driver import LiveDriver, State
from reenact.live.feed import Clock, Feed, mirrored
from reenact.live.sinks import Sink
from reenact.media.content_credentials import sign_result
from reenact.media.images import write_frame
from reenact.media.label import labelled

RECENT_SECONDS = 2.0  # over which the shown frame rate and delay are averaged

_SAID: dict[State, str] = {
    "waiting": "no face yet",
    "following": "",
    "lost": "the face is lost",
    "other person": "another person; r follows them",
}


@dataclass
class LiveReport:
    """What happened. delays: seconds from frame to result, for each of the results.

    cpu_seconds: time of the processor, all threads together, without loading.
    """

    delays: list[float] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    num_dropped: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def num_frames(self) -> int:
        return len(self.delays)

    def line(self) -> str:
        if not self.delays:
            return "no frame was shown"
        low, high = np.percentile(self.delays, [50, 95]) * 1000
        lost = sum(state != "following" for state in self.states)
        return (
            f"{counted(self.num_frames, 'frame')} shown, {self.num_dropped} dropped, "
            f"{lost} without the face; "
            f"{self.num_frames / max(self.seconds, 1e-9):.1f} frames/s, delay {low:.0f} ms "
            f"(95 % below {high:.0f} ms), CPU time {1000 * self.cpu_seconds / self.num_frames:.0f} "
            "ms a frame"
        )


def run_live(
    reenactor: Reenactor,
    source: SourceFace[Any],
    feed: Feed,
    sinks: Sequence[Sink],
    run: InferRun,
    clock: Clock,
    *,
    mirror: bool = False,
    stills: Path = Path("results"),
) -> LiveReport:
    """Animate the source with a feed. Every result goes to all sinks.

    Keys that a sink reports: q ends, r takes the present face as person and reference, m mirrors,
    s saves the result into the folder `stills`. Raises UserError as the sinks do.
    """
    if run.background == TRANSPARENT:
        raise UserError("background: transparent is not possible live, choose photo or a colour")
    which = which_face(run.target_face, "target_face")
    driver = LiveDriver(reenactor.face, source, run, which, run.smoothing)
    waiting: deque[FaceBatch] = deque([source.params])

    def faces() -> Iterator[FaceBatch]:
        while True:
            yield waiting.popleft()

    results = reenactor.stream(source, faces(), run)
    results = labelled(results) if run.label else results
    next(results)  # the networks are warm when the first frame comes
    report, recent = LiveReport(), deque[tuple[float, float]]()
    started, cpu_started = clock.now(), process_time()
    try:
        while (taken := feed.take()) is not None:
            frame = mirrored(taken.frame) if mirror else taken.frame
            driven = driver.update(frame, taken.time)
            waiting.append(driven.face)
            result = next(results)
            now = clock.now()
            recent.append((now, now - taken.time))
            while now - recent[0][0] > RECENT_SECONDS:
                recent.popleft()
            lines = _lines(recent, feed.num_dropped, driven.state)
            keys = {sink.show(result, taken.time, lines) for sink in sinks}
            report.delays.append(clock.now() - taken.time)
            report.states.append(driven.state)
            if "r" in keys:
                driver.restart()
            mirror ^= "m" in keys
            if "s" in keys:
                path = _save_still(result, stills)
                sign_result(path, run.c2pa_certificate, run.c2pa_key)
                say(str(path))
            if "q" in keys:
                break
    except KeyboardInterrupt:
        pass  # Ctrl-C is the way to end without a window
    finally:
        report.num_dropped = feed.num_dropped
        report.seconds = clock.now() - started
        report.cpu_seconds = process_time() - cpu_started
        with contextlib.ExitStack() as closing:
            closing.callback(feed.close)
            for sink in sinks:
                closing.callback(sink.close)
    return report


def _lines(recent: Sequence[tuple[float, float]], num_dropped: int, state: State) -> list[str]:
    span = recent[-1][0] - recent[0][0]
    rate = f"{(len(recent) - 1) / span:.1f}" if span > 0 else "-"
    delay = 1000 * sum(delay for _, delay in recent) / len(recent)
    lines = [f"{rate} frames/s   delay {delay:.0f} ms   dropped {num_dropped}"]
    return [*lines, _SAID[state]] if _SAID[state] else lines


def _save_still(result: np.ndarray, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"live_{number:03d}.png").exists():
        number += 1
    write_frame(path, result, synthetic=True)
    return path
