"""Animate the face of a photo with the motion of a video, a picture or a motion file.

Without source and target: the demo, into results/demo.mp4. @smile and other names after @ are
motions that ship with the package (`diffusionact motion --list`).
"""

import argparse
from pathlib import Path

from reenact.commands.arguments import add_config, add_device, read_config
from reenact.commands.motion import shipped_motion
from reenact.errors import UsageError, say
from reenact.files import check_input_file, check_output_path
from reenact.media.formats import check_written_kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", type=Path, help="photo of the face to animate")
    parser.add_argument(
        "target", nargs="?", type=Path, help="video, picture, motion file, or @name"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="file to write (default: results/<source>_<target>.mp4, .png for a picture)",
    )
    add_config(parser, default="embedded/infer")
    parser.add_argument(
        "--num-steps",
        type=int,
        help="sampling steps of each frame (default: the recipe of the weights)",
    )
    add_device(parser)
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="number format of the networks (default: the config's)",
    )
    parser.add_argument(
        "--seed", type=int, help="seed of the noise, where x_T has any (default: the config's)"
    )
    parser.add_argument(
        "--grid", action="store_true", help="write source | target | result side by side"
    )
    parser.add_argument(
        "--relative", action="store_true", help="take the change since the first target frame"
    )


def run(arguments: argparse.Namespace) -> None:
    source, target, output = arguments.source, arguments.target, arguments.output
    if source is not None and target is None:
        raise UsageError("give both source and target, or none for the demo")
    is_shipped = target is not None and str(target).startswith("@")
    if is_shipped:
        target = shipped_motion(str(target))
    for path in (source, target):
        if path is not None:
            check_input_file(path)
    if output is not None:  # a mistyped name need not wait for the imports below
        check_output_path(output, makes_folders=True)
        check_written_kind(output)
    from reenact.assets import asset_path
    from reenact.inference.pipeline import reenact_files
    from reenact.inference.run_config import InferRun

    options = {
        "reenactor.num_steps": arguments.num_steps,
        "reenactor.precision": arguments.precision,
        "reenactor.seed": arguments.seed,
        "motion": "relative" if arguments.relative or is_shipped else None,
    }
    settings = read_config(arguments, InferRun, options)
    if source is None:
        source, target = asset_path("demo_source.png"), asset_path("demo_target.mp4")
        output = output or Path("results") / "demo.mp4"
    done = reenact_files(
        source, target, output, settings, device=arguments.device, grid=arguments.grid
    )
    say(
        f"{done.output}: {done.num_frames} frame{'s' * (done.num_frames != 1)} "
        f"in {done.seconds:.1f} s, rendered at {done.num_frames / done.render_seconds:.1f} frames/s"
    )
