"""Train one stage: python train.py --config configs/embedded/autoencoder.yaml

The same command again resumes. On several GPUs: torchrun --nproc-per-node 8 train.py --config ...
"""

import argparse

from reenact.commands.arguments import add_config, add_device, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, run="train")
    add_device(parser)
    parser.add_argument("--seed", type=int, help="seed of the run (default: the config's)")


def run(arguments: argparse.Namespace) -> None:
    from reenact.processes import joined
    from reenact.training.loop import train
    from reenact.training.run_config import TrainRun

    settings = read_config(arguments, TrainRun, {"seed": arguments.seed})
    with joined(arguments.device) as (world, device):
        train(settings, device, world)
