"""Measure a reenactor, or any method's results: python eval.py --config configs/embedded/eval.yaml

On several GPUs: torchrun --nproc-per-node N eval.py --config ... (docs/evaluation.md)
"""

import argparse
from dataclasses import replace
from pathlib import Path

from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, run="eval")
    add_device(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="the folder of the report (default: a folder in the config's output, named by the "
        "config and the content)",
    )
    parser.add_argument(
        "--predictions",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="add a row to the tables: the results of another method in this folder, "
        "<mode>/<source clip>_<frame>__<target clip>.mp4 or a folder of PNGs each (repeatable)",
    )
    parser.add_argument(
        "--only-predictions", action="store_true", help="do not measure our own reenactor"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the report of another run in --output"
    )
    parser.add_argument(
        "--publish", action="store_true", help="also write the numbers to the config's publish_to"
    )


def run(arguments: argparse.Namespace) -> None:
    from reenact.evaluation.reporting.terminal import terminal
    from reenact.evaluation.run import run_evaluation
    from reenact.evaluation.run_config import EvalRun

    settings = read_config(arguments, EvalRun)
    for text in arguments.predictions:
        settings = settings.with_predictions(text)
    if arguments.only_predictions:
        settings = settings.without_ours()
    if arguments.output is not None:
        settings = replace(settings, output=arguments.output)
    report = run_evaluation(
        settings,
        arguments.device,
        folder=arguments.output,
        overwrite=arguments.overwrite,
        publish=arguments.publish,
    )
    if report is not None:  # the other processes of torchrun print nothing
        say(terminal(report.summary))
        say(f"written: {report.folder}/report.html, .md, .tex, .csv, .json")
