"""Write the motion of a video or picture to a file, without any pixel of it.

A motion file (.motion.safetensors) is a target wherever a video is. --list names the motions that
ship with the package.
"""

import argparse
from pathlib import Path

from reenact.commands.animating import (
    EXPERT,
    add_part,
    add_smoothing,
    add_target_face,
    given_options,
)
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import UsageError, UserError, counted, say
from reenact.files import check_input_file
from reenact.inference.shipped_motions import SUFFIX, shipped_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [TARGET] [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument("target", nargs="?", type=Path, metavar="TARGET", help="video or picture")
    everyday.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write (default: results/TARGET.motion.safetensors)",
    )
    everyday.add_argument("--list", action="store_true", help="name the shipped motions")
    add_part(everyday)
    add_target_face(everyday)
    add_smoothing(everyday)
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    if arguments.list:
        say("\n".join(f"@{name}" for name in shipped_names()))
        return
    target = arguments.target
    if target is None:
        raise UsageError("give a video or a picture, or --list")
    check_input_file(target)
    from reenact.files import check_output_path, make_folder, shortened
    from reenact.inference.inputs import load_for, open_target, track_target
    from reenact.inference.motion_file import save_motion
    from reenact.inference.run_config import InferRun

    output = arguments.output or Path("results") / f"{shortened(target.stem, 200)}{SUFFIX}"
    if not str(output).endswith(SUFFIX):
        raise UserError(f"{output}: a motion file must end in {SUFFIX}")
    check_output_path(output, makes_folders=True)
    settings = read_config(arguments, InferRun, given_options(arguments))
    clip = open_target(target, settings)
    reenactor = load_for(settings, arguments.device)
    motion = track_target(reenactor, clip, target, settings)
    make_folder(output.parent)
    save_motion(motion, output)
    say(f"{output}: {counted(len(motion), 'frame')}, {output.stat().st_size / 1000:.0f} kB")
