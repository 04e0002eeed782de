"""Errors that a user can mend, and how a script turns them into exit codes."""

import sys
from collections.abc import Callable


class UserError(ValueError):
    """A problem the user can mend: one line that says what, where, and what to do about it."""


def exit_code(main: Callable[[], None]) -> int:
    """Run `main` and return the exit code of the script: 0, 1 (user error) or 130 (Ctrl-C).

    `UserError` and `diffae.CheckpointError` become one line `error: ...` on stderr. Every other
    exception is a bug and passes through with its traceback.
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
        print(f"error: {line}", file=sys.stderr)
        return 1
    return 0


def _is_for_user(error: Exception) -> bool:
    if isinstance(error, UserError):
        return True
    # Imported late: reading the arguments of a script should not wait for torch.
    from diffae import CheckpointError

    return isinstance(error, CheckpointError)
