"""Draw the curves of a training run as one static HTML page: python -m reenact curves runs/mine"""

import argparse
from pathlib import Path

from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of the run (run_dir in its config)")


def run(arguments: argparse.Namespace) -> None:
    from reenact.training.curves import write_curves

    say(str(write_curves(arguments.run)))
