"""What a case is, and how one is run and judged."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import numpy as np

from reenact.commands.main import run_command

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
WAITING = 10
"""A case hangs if it computes for more than SECONDS, or takes WAITING times as long by the clock.

On a busy machine a case can wait long for its turn, which is not its fault.
"""


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """What happens to a program from outside.

    signum: the signal that is sent; None for none.
    delay: seconds before the signal.
    redirection: how the shell redirects the streams, for example `2>&-`.
    """

    signum: int | None = None
    delay: float = 0.0
    redirection: str = ""

    @property
    def codes(self) -> tuple[int, ...]:
        """The exit codes that keep the promise."""
        return (0, 1, 2) if self.signum is None else (0, 1, 128 + self.signum, -self.signum)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command line whose files lie in a folder of its own.

    kind: name of the generator.
    words: the command and its arguments.
    output: the file that a success must have written.
    num_frames: the frames that it must have, if that is known.
    files: all files that are there before the run. None of them may change.
    interruption: what happens to the command, which then runs as a program of its own.
    """

    kind: str
    words: tuple[str, ...]
    output: Path | None = None
    num_frames: int | None = None
    files: tuple[Path, ...] = field(default=())
    interruption: Interruption | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case.

    code: the exit code, None for an exception.
    text: all that was printed on stdout and stderr.
    problem: the broken promise, None if all were kept.
    """

    code: int | None
    text: str
    problem: str | None


Generator = Callable[[np.random.Generator, Path], Case]
"""Makes a case from a random generator, with its files in the given empty folder."""


def judged(case: Case) -> Outcome:
    """Run a case in this process and check every promise.

    The promises: exit code 0, 1 or 2; no traceback; exactly one line `error: ...` for 1; a
    complete, readable output for 0; no temporary file and no changed input in any case.
    """
    before = {path: path.read_bytes() for path in case.files if path.is_file()}
    if case.interruption is None:
        code, text = run(case.words)
    else:
        code, text = run_program(case.words, case.interruption)
    problem = broken_promise(case, code, text)
    if problem is None:
        problem = next(
            (f"{p.name}: an input was changed" for p, b in before.items() if not same(p, b)), None
        )
    return Outcome(code=code, text=text, problem=problem)


def run(words: tuple[str, ...]) -> tuple[int | None, str]:
    """The exit code (None for an exception that is a bug) and everything that was printed."""
    with printed() as read:
        try:
            with limited(SECONDS):
                code: int | None = run_command(words[0], f"diffusionact {words[0]}", [*words[1:]])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
            code = None
        text = read()
    return code, text


def run_program(words: tuple[str, ...], interruption: Interruption) -> tuple[int | None, str]:
    """The same in a process of its own, which is sent a signal or has odd streams."""
    command = f"exec {shlex.join([sys.executable, '-m', 'reenact', *words])}"
    with tempfile.TemporaryFile("w+b") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"{command} {interruption.redirection}"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=file,
        )
        try:
            if interruption.signum is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(interruption.delay)
                process.send_signal(interruption.signum)
            code = process.wait(WAITING * SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None, f"takes more than {WAITING * SECONDS} s"
        file.seek(0)
        return code, file.read().decode("utf-8", "replace")


def broken_promise(case: Case, code: int | None, text: str) -> str | None:
    """The promise that the run broke, or None."""
    if code is None or "Traceback (most recent call last)" in text:
        return "a traceback"
    codes = (0, 1, 2) if case.interruption is None else case.interruption.codes
    if code not in codes:
        return f"exit code {code}"
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    silenced = case.interruption is not None and case.interruption.redirection
    if code == 1 and len(errors) != 1 and not silenced:
        return f"{len(errors)} error lines for exit code 1"
    if code == 1 and errors and len(errors[0]) > 1200:
        return f"an error line of {len(errors[0])} characters"
    if case.output is not None:
        folder = case.output.parent
        hidden = folder.glob(".*") if folder.is_dir() else ()
        left = [p.name for p in hidden if p.is_file() and p != case.output]
        if left:
            return f"left behind: {left[0]}"
        if code == 0:
            return unreadable(case.output, case.num_frames)
        if case.output.is_file() and case.output not in case.files:
            if case.interruption is not None:  # it may come after the work was done
                return unreadable(case.output, case.num_frames)
            return "a failed run left an output"
    return None


def unreadable(path: Path, num_frames: int | None) -> str | None:
    """What is wrong with an output file, or None."""
    if not path.is_file():
        return "exit code 0 without an output"
    import av
    from PIL import Image

    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="np") as opened:
            return None if opened.keys() else "the output is empty"
    if path.suffix == ".json":
        return None if json.loads(path.read_text()) else "the output is empty"
    if path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
        return None
    try:
        with av.open(str(path)) as file:
            count = sum(1 for _ in file.decode(video=0))
    except av.error.FFmpegError as error:
        return f"the output cannot be read ({error})"
    if num_frames is not None and count != num_frames:
        return f"{count} frames written, {num_frames} expected"
    return None


def reduced(case: Case) -> Case:
    """The case without every option that its problem does not need."""
    words = list(case.words)
    at = 1
    while at < len(words):
        if not words[at].startswith("--set="):
            at += 1
            continue
        shorter = [*words[:at], *words[at + 1 :]]
        if judged(replace(case, words=tuple(shorter))).problem is not None:
            words = shorter
        else:
            at += 1
    return replace(case, words=tuple(words))


def same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


@contextlib.contextmanager
def printed() -> Iterator[Callable[[], str]]:
    """Collect what is printed, also by libraries that write to the file descriptors."""
    with tempfile.TemporaryFile("w+b") as file:
        saved = [os.dup(1), os.dup(2)]
        writer = io.TextIOWrapper(
            os.fdopen(os.dup(file.fileno()), "wb", 0), write_through=True, encoding="utf-8"
        )
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

        def read() -> str:
            file.seek(0)
            return file.read().decode("utf-8", "replace")

        try:
            with contextlib.redirect_stdout(writer), contextlib.redirect_stderr(writer):
                yield read
        finally:
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the main thread after so many seconds of computing, see `WAITING`."""

    def late(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"computes for more than {seconds} s, or waits {WAITING} times as long")

    limits = {signal.ITIMER_PROF: seconds, signal.ITIMER_REAL: WAITING * seconds}
    signals = (signal.SIGPROF, signal.SIGALRM)
    before = {number: signal.signal(number, late) for number in signals}
    for clock, limit in limits.items():
        signal.setitimer(clock, limit)
    try:
        yield
    finally:
        for clock in limits:
            signal.setitimer(clock, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
