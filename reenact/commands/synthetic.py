"""Generate talking heads of synthetic people, with their truth, as clips for training."""

import argparse
from pathlib import Path

from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    def option(name: str, default: int, text: str) -> None:
        parser.add_argument(name, type=int, default=default, help=f"{text} (default: %(default)s)")

    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--clips", type=int, required=True, help="number of clips of the split")
    option("--frames", 16, "frames of each clip")
    option("--size", 64, "side of the crops in pixels")
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="train",
        help="split, each with people of its own (default: %(default)s)",
    )
    option("--seed", 0, "seed of all people and motions")
    option("--workers", 2, "processes, one thread each")
    option("--cross", 8, "frames of each clip that show another person's motion")
    text = "also write the alpha of hair and head and the background of each frame"
    parser.add_argument("--layers", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> None:
    from reenact.data.synthetic.clips import SyntheticConfig
    from reenact.data.synthetic.generate import generate

    say(str(generate(SyntheticConfig(**vars(arguments)), progress=True)))
