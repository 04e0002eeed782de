"""Animate the face of a photo with the motion of a video, picture or motion file.

Without source and target: the demo, into results/demo.mp4. @smile and other names after @ are
motions that ship with the package (`python -m reenact motion --list`).
"""

import argparse
from pathlib import Path

from reenact.commands.animating import (
    EXPERT,
    RELATIVE,
    add_part,
    add_rendering,
    add_usual_groups,
    given_options,
)
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import UsageError, counted, say
from reenact.files import check_input_file, check_output_path
from reenact.inference.shipped_motions import is_shipped, shipped_motion
from reenact.media.formats import check_written_kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [SOURCE TARGET ...] [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="SOURCE",
        help="photo of the face to animate, or video",
    )
    everyday.add_argument(
        "targets",
        nargs="*",
        type=Path,
        metavar="TARGET",
        help="video, picture, motion file, @name; or one for each face",
    )
    everyday.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="a name that ends in .mp4 .m4v .mov .webm .gif .webp or %%06d.png for a video, "
        "in .png .jpg .webp .bmp or .tif for a picture "
        "(default: results/SOURCE_TARGET.mp4 or .png)",
    )
    add_part(everyday)
    output = add_usual_groups(parser)
    output.add_argument("--grid", action="store_true", help="source | target | result side by side")
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_rendering(expert)
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    source, output = arguments.source, arguments.output
    if source is not None and not arguments.targets:
        raise UsageError("give both source and target, or none for the demo")
    targets = [
        shipped_motion(str(target)) if is_shipped(target) else target
        for target in arguments.targets
    ]
    for path in (source, *targets):
        if path is not None:
            check_input_file(path)
    if output is not None:  # a mistyped name need not wait for the imports below
        check_output_path(output, makes_folders=True)
        check_written_kind(output)
    from reenact.assets import asset_path
    from reenact.inference.pipeline import reenact_files
    from reenact.inference.run_config import InferRun

    options = given_options(arguments)
    if any(map(is_shipped, arguments.targets)):
        options = RELATIVE | options
    settings = read_config(arguments, InferRun, options)
    if source is None:
        source, targets = asset_path("demo_source.png"), [asset_path("demo_target.mp4")]
        output = output or Path("results") / "demo.mp4"
    done = reenact_files(
        source, targets, output, settings, device=arguments.device, grid=arguments.grid
    )
    say(
        f"{done.output}: {counted(done.num_frames, 'frame')} "
        f"in {done.seconds:.1f} s, rendered at {done.num_frames / done.render_seconds:.1f} frames/s"
    )
