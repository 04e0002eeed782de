"""Draw a contact sheet of synthetic people: one row for each person."""

import argparse
from pathlib import Path

from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    def option(name: str, default: int, text: str) -> None:
        parser.add_argument(name, type=int, default=default, help=f"{text} (default: %(default)s)")

    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    option("--rows", 8, "number of people")
    option("--size", 128, "side of a tile in pixels")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    option("--seed", 0, "seed of all people and motions")


def run(arguments: argparse.Namespace) -> None:
    from PIL import Image

    from reenact.data.synthetic.clips import SyntheticConfig
    from reenact.data.synthetic.sheet import contact_sheet
    from reenact.files import make_folder

    config = SyntheticConfig(
        out=arguments.out.parent,
        clips=max(arguments.rows, 6),
        size=arguments.size,
        split=arguments.split,
        seed=arguments.seed,
    )
    sheet = contact_sheet(config, range(arguments.rows))
    make_folder(arguments.out.parent)
    Image.fromarray(sheet).save(arguments.out)
    say(str(arguments.out))
