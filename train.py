"""Train one stage: python train.py --config configs/embedded/autoencoder.yaml

On several GPUs: torchrun --nproc-per-node 8 train.py --config ...
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reenact.config import load_config
from reenact.errors import exit_code
from reenact.processes import joined
from reenact.training.loop import train
from reenact.training.run_config import TrainRun


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a value of the config, e.g. --set optimizer.lr=0.0002 (repeatable)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--seed", type=int, help="override the config's seed")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    run = load_config(arguments.config, TrainRun, overrides)
    with joined(arguments.device) as (world, device):
        train(run, device, world)


if __name__ == "__main__":
    sys.exit(exit_code(main))
