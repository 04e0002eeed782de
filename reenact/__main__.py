"""python -m reenact COMMAND, and the program `diffusionact COMMAND`."""

import signal
import sys


def program() -> int:
    """Run the command that the first argument names; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C during the imports below
    from reenact.commands.main import main

    return main()


if __name__ == "__main__":
    sys.exit(program())
