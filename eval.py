"""Measure a reenactor on rendered truth: python eval.py --config configs/embedded/eval.yaml"""

import argparse
import sys
from pathlib import Path

from reenact.errors import exit_code


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
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
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # Imported late: --help should not wait for torch.
    from reenact.config import load_config
    from reenact.evaluation.report import markdown
    from reenact.evaluation.run import run_evaluation
    from reenact.evaluation.run_config import EvalRun

    run = load_config(arguments.config, EvalRun, arguments.overrides)
    if arguments.output is not None:
        run = run.with_output(arguments.output)
    print(markdown(run_evaluation(run, arguments.device or "auto")))
    print(f"written: {run.json_path}, {run.output}/report.md, report.html, sheet.png")


if __name__ == "__main__":
    sys.exit(exit_code(main))
