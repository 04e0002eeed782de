"""Measure a reenactor, or any method's results: python eval.py --config configs/embedded/eval.yaml

On several GPUs: torchrun --nproc-per-node N eval.py --config ... (docs/evaluation.md)
"""

import argparse
from pathlib import Path

from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_device(parser)
    parser.add_argument("--output", type=Path, help="write everything to this folder instead")
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="measure the results in this folder, <mode>/<source clip>_<frame>__<target clip>.mp4 "
        "or a folder of PNGs each, instead of weights",
    )


def run(arguments: argparse.Namespace) -> None:
    from reenact.evaluation.reporting.tables import markdown
    from reenact.evaluation.run import run_evaluation
    from reenact.evaluation.run_config import EvalRun

    settings = read_config(arguments, EvalRun)
    if arguments.output is not None:
        settings = settings.with_output(arguments.output)
    if arguments.predictions is not None:
        settings = settings.with_predictions(arguments.predictions)
    summary = run_evaluation(settings, arguments.device)
    if summary is not None:  # the other processes of torchrun have nothing to say
        say(markdown(summary))
        say(
            f"written: {settings.json_path}, {settings.output}/report.html, .md, .csv, .tex, "
            "sheet.png"
        )
