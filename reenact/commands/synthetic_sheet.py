"""Draw a contact sheet of synthetic people: one row for each person."""

import argparse
from pathlib import Path

from reenact.commands.arguments import add_covered, add_number, add_split
from reenact.errors import UserError, say
from reenact.files import check_output_path, make_folder
from reenact.media.formats import WRITABLE_SUFFIXES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    add_number(parser, "--rows", 8, "number of people")
    add_number(parser, "--size", 128, "side of a tile in pixels")
    add_split(parser)
    add_number(parser, "--seed", 0, "seed of all people and motions")
    add_covered(parser)


def run(arguments: argparse.Namespace) -> None:
    check_output_path(arguments.out, WRITABLE_SUFFIXES, makes_folders=True)
    if arguments.rows < 1:
        raise UserError(f"--rows: must be at least 1, got {arguments.rows}")
    from reenact.data.synthetic.clips import SyntheticConfig
    from reenact.data.synthetic.sheet import contact_sheet
    from reenact.media.images import write_frame

    config = SyntheticConfig(
        out=arguments.out.parent,
        clips=max(arguments.rows, 6),
        size=arguments.size,
        split=arguments.split,
        seed=arguments.seed,
        covered=arguments.covered,
    )
    sheet = contact_sheet(config, range(arguments.rows))
    make_folder(arguments.out.parent)
    write_frame(arguments.out, sheet, synthetic=True)
    say(str(arguments.out))
