"""Measure a reenactor, or any method's results: python eval.py --config configs/embedded/eval.yaml

On several GPUs: torchrun --nproc-per-node N eval.py --config ... (docs/evaluation.md)
"""

import argparse
import sys
from pathlib import Path

from reenact.errors import exit_code


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a value of the config, e.g. --set reenactor.x_T=random (repeatable)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the best available")
    parser.add_argument("--output", type=Path, help="write everything to this folder instead")
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="measure the results in this folder, <mode>/<source clip>_<frame>__<target clip>.mp4 "
        "or a folder of PNGs each, instead of weights",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # Imported late: --help should not wait for torch.
    from reenact.config import load_config
    from reenact.evaluation.reporting.tables import markdown
    from reenact.evaluation.run import run_evaluation
    from reenact.evaluation.run_config import EvalRun

    run = load_config(arguments.config, EvalRun, arguments.overrides)
    if arguments.output is not None:
        run = run.with_output(arguments.output)
    if arguments.predictions is not None:
        run = run.with_predictions(arguments.predictions)
    summary = run_evaluation(run, arguments.device or "auto")
    if summary is not None:  # the other processes of torchrun have nothing to say
        print(markdown(summary))
        print(f"written: {run.json_path}, {run.output}/report.html, .md, .csv, .tex, sheet.png")


if __name__ == "__main__":
    sys.exit(exit_code(main))
