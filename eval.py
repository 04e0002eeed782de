"""Measure a reenactor: python eval.py --config configs/embedded/eval.yaml"""

import sys

from reenact.commands.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("eval", "eval.py", sys.argv[1:]))
