"""Write raw videos of synthetic people in one of VoxCeleb's layouts, for a dry run."""

import argparse
from pathlib import Path

from reenact.commands.arguments import add_number
from reenact.errors import UserError, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="new folder of the raw data")
    parser.add_argument(
        "--layout",
        choices=("flat", "frames_cropped", "release"),
        required=True,
        help="one of the layouts that VoxCeleb comes in, see docs/voxceleb.md",
    )
    add_number(parser, "--clips", 40, "number of videos")
    add_number(parser, "--frames", 16, "frames of each video, at 25 a second")
    add_number(parser, "--size", 256, "side of the frames in pixels")


def run(arguments: argparse.Namespace) -> None:
    if min(arguments.clips, arguments.frames) < 1 or arguments.size < 64:
        raise UserError("--clips and --frames must be at least 1, --size at least 64")
    if arguments.out.exists() and (not arguments.out.is_dir() or any(arguments.out.iterdir())):
        raise UserError(f"{arguments.out}: is not empty, choose a new folder")
    from reenact.data.synthetic.raw import write_raw

    write_raw(arguments.out, arguments.layout, arguments.clips, arguments.frames, arguments.size)
    say(str(arguments.out))
