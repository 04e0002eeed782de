"""Errors that the user can fix, and how a script turns them into exit codes."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

SECONDS_TO_WAIT = 3.0


class UserError(ValueError):
    """A problem that the user can fix: one line that says what, where, and what to do about it."""


def exit_code(main: Callable[[], None]) -> int:
    """Run `main` and return the exit code of the script: 0, 1 (user error) or 130 (Ctrl-C).

    `UserError` and `diffae.CheckpointError` become one line `error: ...` on stderr. Of several
    processes only one prints the line. Every other exception is a bug and passes through with its
    traceback.
    """
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not _is_for_user(error):
            raise
        line = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
        _tell(line)
        return 1
    return 0


def _tell(line: str) -> None:
    """Print the error once, also when torchrun started several processes."""
    rank, torchrun_file = os.environ.get("RANK", "0"), os.environ.get("TORCHELASTIC_ERROR_FILE")
    if torchrun_file is not None:
        # torchrun prints a long traceback of its own. After it comes the text from this file, so
        # that the error is also the last thing on the screen.
        text = f"error: {line}"
        extra = {"py_callstack": text, "timestamp": str(int(time.time()))}
        content = {"message": {"message": text, "extraInfo": extra}}
        Path(torchrun_file).write_text(json.dumps(content))
    if rank == "0" or torchrun_file is None:
        print(f"error: {line}", file=sys.stderr)
        return
    # Most errors happen in all processes. The first process then prints the line and exits, and
    # torchrun ends this one while it waits. Only an error of this process alone is printed here.
    time.sleep(SECONDS_TO_WAIT)
    print(f"error: process {rank}: {line}", file=sys.stderr)


def _is_for_user(error: Exception) -> bool:
    if isinstance(error, UserError):
        return True
    # Imported late: reading the arguments of a script should not wait for torch.
    from diffae import CheckpointError

    return isinstance(error, CheckpointError)
