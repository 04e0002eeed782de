"""Measure a reenactor: python eval.py --config configs/embedded/eval.yaml"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C during the imports below
    import sys

    from reenact.commands.main import run_command

    sys.exit(run_command("eval", "eval.py", sys.argv[1:]))
