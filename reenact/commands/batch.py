"""Animate many photos or videos with many targets: each source with each target.

Results that are there already are left out: the same command continues a stopped run. A table at
the end says what failed.
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
from reenact.errors import UserError, say
from reenact.media.formats import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s --sources S ... --targets T ... --out DIR [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument(
        "--sources", nargs="+", type=Path, required=True, metavar="FILE", help="photos or videos"
    )
    text = "videos, pictures, motion files, or @names"
    everyday.add_argument("--targets", nargs="+", required=True, metavar="TARGET", help=text)
    everyday.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the results"
    )
    add_part(everyday)
    output = add_usual_groups(parser)
    output.add_argument(
        "--format",
        choices=[suffix[1:] for suffix in FORMATS],
        metavar="FORMAT",
        help=f"of videos: {', '.join(suffix[1:] for suffix in FORMATS)} (default: mp4, webm if "
        "transparent)",
    )
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_rendering(expert)
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    from reenact.commands.batch_work import BatchWork
    from reenact.files import make_folder
    from reenact.inference.inputs import load_for
    from reenact.inference.run_config import InferRun
    from reenact.media.content_credentials import check_signing

    options = given_options(arguments)
    work = BatchWork(
        settings=read_config(arguments, InferRun, options),
        for_shipped=read_config(arguments, InferRun, RELATIVE | options),
        sources=list(dict.fromkeys(arguments.sources)),
        folder=arguments.out,
        video_format=arguments.format,
    )
    example = work.output_of(Path("a"), Path("b"), is_picture=False)
    check_signing(example, work.settings.c2pa_certificate, work.settings.c2pa_key)
    make_folder(arguments.out)
    reenactor = load_for(work.settings, arguments.device)
    table = work.table
    try:
        for name in dict.fromkeys(arguments.targets):
            work.animate_all(reenactor, name)
    finally:  # Ctrl-C also shows what is done
        for line in table.lines:
            say(line)
    if table.num_failed:
        raise UserError(
            f"{table.num_failed} of {len(table.lines)} results could not be made, see the lines "
            "above"
        )
