"""What commands tell the user: errors with their exit codes, warnings and closing lines."""

import contextlib
import difflib
import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType

SECONDS_TO_WAIT = 3.0
LONGEST_LINE = 1000  # characters of an error
_LIMITS = (
    *("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE"),
    *("ENAMETOOLONG", "ELOOP"),
)
LIMITS_OF_FILES = frozenset(getattr(errno, name) for name in _LIMITS if hasattr(errno, name))
"""Numbers of an OSError that no program can prevent: full, read-only or broken disks, names that
the file system cannot hold, and so on."""


class UserError(ValueError):
    """A problem that the user can mend: one line that says what, where, and what to do."""


class UsageError(UserError):
    """A command line that cannot be understood; the exit code is 2, as for unknown options."""


def suggestion(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """`, did you mean NAME?` with the known name that is most like `name`; "" if none is.

    prefix: what stands before the suggested name, and is not compared.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {prefix + close[0]!r}?" if close else ""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 clip`, `2 clips`. plural: for nouns whose plural is not made with an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


class Stopped(BaseException):
    """SIGTERM or SIGHUP arrived. Like KeyboardInterrupt it passes every `except Exception`."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def warn(text: str) -> None:
    """One line `warning: ...` on stderr.

    Each process prints it. Where several processes of a run notice the same thing, take
    `reenact.processes.warn`.
    """
    for texts in _listeners:
        texts.append(text)
    print(f"warning: {text}", file=sys.stderr)


_listeners: list[list[str]] = []


@contextlib.contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """A list that takes the warnings of all threads during the `with` block. They are printed too.

    For a program whose user does not see stderr, such as the page in the browser.
    """
    texts: list[str] = []
    _listeners.append(texts)
    try:
        yield texts
    finally:
        _listeners[:] = [other for other in _listeners if other is not texts]


def say(text: str) -> None:
    """Print the closing lines of a command on stdout.

    A reader that has gone away (a closed pipe) is no error. Raises UserError if stdout cannot be
    written for another reason, for example a full disk.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _point_to_nothing("stdout")
    except OSError as error:
        _point_to_nothing("stdout")
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"standard output: cannot write ({reason}); the work itself is complete"
        ) from error


def exit_code(main: Callable[[], None]) -> int:
    """Run `main` and return the exit code of the command.

    0: success. 1: `UserError`, `diffae.CheckpointError`, or a limit of the machine such as a full
    disk or too little memory, printed as one line `error: ...` on stderr. Of several processes
    only one prints the line. 2: `UsageError`. 130: Ctrl-C. 143 or 129: SIGTERM or SIGHUP; the
    `with` and `finally` blocks have run by then, so no temporary file is left. Every other
    exception is a bug and passes through with its traceback.
    """
    _make_streams_usable()
    received: list[int] = []
    try:
        with _signals_as_exceptions(received):
            main()
    except KeyboardInterrupt:
        return _ended_by(signal.SIGINT)
    except Stopped as stop:
        return _ended_by(stop.signum)
    except Exception as error:
        if received:  # a library made an error of its own of the interruption
            return _ended_by(received[0])
        text = str(error) if _is_for_user(error) else _limit_of_the_machine(error)
        if text is None:
            raise
        _tell(" ".join(part.strip() for part in text.splitlines() if part.strip()))
        return 2 if isinstance(error, UsageError) else 1
    return 0


def _ended_by(signum: int) -> int:
    """Say which signal ended the run, and return the exit code."""
    name = signal.Signals(signum).name
    print("interrupted" if name == "SIGINT" else f"stopped by {name}", file=sys.stderr)
    return 128 + signum


def _tell(line: str) -> None:
    """Print the error once, also when torchrun started several processes."""
    rank, torchrun_file = os.environ.get("RANK", "0"), os.environ.get("TORCHELASTIC_ERROR_FILE")
    if torchrun_file is not None and rank != "0":
        # Most errors happen in all processes. The first process then prints the line and exits, and
        # torchrun ends this one while it waits. Only an error of this process alone is printed.
        time.sleep(SECONDS_TO_WAIT)
        line = f"process {rank}: {line}"
    if len(line) > LONGEST_LINE:  # a damaged file can hold texts of any length
        line = f"{line[: LONGEST_LINE - 200]} ... {line[-200:]}"
    text = f"error: {line}"
    print(text, file=sys.stderr)
    if torchrun_file is not None:
        # torchrun prints a long traceback of its own. After it comes the text from this file, so
        # that the error is also the last thing on the screen.
        extra = {"py_callstack": text, "timestamp": str(int(time.time()))}
        content = {"message": {"message": text, "extraInfo": extra}}
        Path(torchrun_file).write_text(json.dumps(content))


@contextlib.contextmanager
def _signals_as_exceptions(received: list[int]) -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Stopped` in the main thread, unless the process ignores them.

    Ctrl-C raises KeyboardInterrupt, as always. received: gets the number of every signal.
    """

    owner = os.getpid()

    def stop(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == owner and _is_importing(frame):
            # An exception in the middle of an import can abort the process (torch), and modules
            # that try imports can swallow it.
            again = threading.Timer(0.05, os.kill, (owner, signum))
            again.daemon = True
            again.start()
            return
        if signum == signal.SIGINT:
            received.append(signum)
            raise KeyboardInterrupt
        if os.getpid() == owner:
            received.append(signum)
            raise Stopped(signum)
        # A forked worker inherits this handler; it ends at once, as without us.
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    replaced = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            usual = (signal.SIG_DFL, signal.default_int_handler)
            if number is not None and signal.getsignal(number) in usual:
                replaced[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the frame runs inside of an import statement."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _make_streams_usable() -> None:
    """Make every later print safe: on closed streams, and on terminals that know only ASCII."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open until the exit)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _point_to_nothing(name: str) -> None:
    """Replace a broken stream, so that Python's own flush at the exit does not fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), getattr(sys, name).fileno())


def _is_for_user(error: Exception) -> bool:
    if isinstance(error, UserError):
        return True
    # Imported late: reading the arguments of a command should not wait for torch.
    from diffae import CheckpointError

    return isinstance(error, CheckpointError)


def _limit_of_the_machine(error: Exception) -> str | None:
    """What to tell the user about a full disk or too little memory; None for any other error.

    Outputs are checked before the work starts, but a disk can fill up in the middle of it.
    """
    if isinstance(error, OSError) and error.errno in LIMITS_OF_FILES:
        where = error.filename if error.filename is not None else "a file"
        reason = (error.strerror or str(error)).lower()
        return f"{where}: cannot read or write ({reason}), make room or choose another place"
    text = " ".join(str(error).split())
    # torch raises OutOfMemoryError for a GPU, and a plain RuntimeError for the CPU.
    is_torch = isinstance(error, RuntimeError) and any(
        words in text for words in ("out of memory", "can't allocate memory", "not enough memory")
    )
    if isinstance(error, MemoryError) or is_torch:
        what = f" ({text[:200]})" if text else ""
        return f"not enough memory{what}, choose a smaller size, batch or number of steps"
    return None
