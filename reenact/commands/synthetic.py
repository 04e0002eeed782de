"""Generate talking heads of synthetic people, with their truth, as clips for training."""

import argparse
from pathlib import Path

from reenact.commands.arguments import add_covered, add_number, add_split
from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--clips", type=int, required=True, help="number of clips of the split")
    add_number(parser, "--frames", 16, "frames of each clip")
    add_number(parser, "--size", 64, "side of the crops in pixels")
    add_split(parser)
    add_number(parser, "--seed", 0, "seed of all people and motions")
    add_number(parser, "--workers", 2, "processes, one thread each")
    add_number(parser, "--cross", 8, "frames of each clip that show another person's motion")
    add_covered(parser)
    text = "also write the layers of each frame: alphas, background, normals, hidden sides"
    parser.add_argument("--layers", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> None:
    from reenact.data.synthetic.clips import SyntheticConfig
    from reenact.data.synthetic.generate import generate

    say(str(generate(SyntheticConfig(**vars(arguments)), progress=True)))
