"""One table that shows how the choices of inference and of training change the result.

    python -m tools.ablate [--weights NAME=FILE ...] [--set KEY=VALUE ...] [--out FILE]

Each row is one evaluation of configs/embedded/eval.yaml. The rows are: the shipped settings, other
starts x_T, other numbers of steps, and another sampler. Each `--weights` file gives one more row
with the shipped settings, for example the export of a stage or of a run without one loss. Rows that
were measured before (in `results/ablation`) are not measured again. The result is FILE.md with the
table and FILE.json. The committed table is made with `--out docs/results/ablation`.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.config import load_config
from reenact.errors import UserError, exit_code
from reenact.evaluation.measuring.metrics import BY_NAME
from reenact.evaluation.run import run_evaluation
from reenact.evaluation.run_config import EvalRun
from reenact.files import atomic_output
from reenact.inference.config import ReenactorConfig
from reenact.inference.start import STARTS
from reenact.models.checkpoint import load_reenactor
from reenact.models.weights import Recipe

CONFIG = Path("configs/embedded/eval.yaml")
MODE = "cross"
COLUMNS = (
    *("l1", "psnr", "ssim", "lpips", "efflpips", "csim", "apd", "gaze_error", "nme", "found"),
    *("yaw_correlation", "jaw_correlation", "blink_correlation"),
)


def settings(base: ReenactorConfig, weights: Path) -> dict[str, ReenactorConfig]:
    """The rows of the inference table: `base` on these weights, and changes of it."""
    shipped = base.recipe(load_reenactor(weights).recipe or Recipe())
    rows = {f"as shipped: {shipped.num_steps} steps, x_T {shipped.x_T}, {shipped.sampler}": base}
    for start in STARTS:
        if start != shipped.x_T:
            rows[f"x_T {start}"] = replace(base, x_T=start)
    carried = "without" if shipped.carry_detail else "with"
    rows[f"{carried} carried detail"] = replace(base, carry_detail=not shipped.carry_detail)
    rows["as in the paper: x_T source, without carried detail"] = replace(
        base, x_T="source", carry_detail=False
    )
    for steps in (4, 8, 20, 50):
        rows[f"{steps} steps, {steps} of inversion"] = replace(
            base, num_steps=steps, encode_steps=steps
        )
    rows["DPM-Solver++(2M), 4 steps"] = replace(base, num_steps=4, sampler="dpmpp2m")
    return rows


def row_of(run: EvalRun, name: str, device: str) -> dict[str, Any]:
    """The cross-reenactment numbers of one row."""
    print(name)
    report = run_evaluation(run, device)
    assert report is not None  # only further processes of torchrun get none
    return {"name": name, **{key: report.summary[MODE]["ours"].get(key) for key in COLUMNS}}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The table as Markdown."""
    lines = ["| | " + " | ".join(BY_NAME[name].header for name in COLUMNS) + " |"]
    lines.append("|---|" + "---:|" * len(COLUMNS))
    for row in rows:
        values = ["–" if row[key] is None else f"{row[key]:.4g}" for key in COLUMNS]
        lines.append(f"| {row['name']} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def named_file(text: str) -> tuple[str, Path]:
    """NAME=FILE as a name and a path. Raises UserError."""
    name, equals, path = text.partition("=")
    if not equals:
        raise UserError(f"--weights {text}: write NAME=FILE")
    return name, Path(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FILE", help="one more row"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("results/ablation/ablation"))
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    files = [named_file(text) for text in args.weights]
    run = load_config(
        CONFIG, EvalRun, ["pairs.num_self=0", "num_examples=0", "num_worst=0", *args.set]
    )
    run = replace(run, output=Path("results") / "ablation", variants=["ours"])
    rows = [
        row_of(replace(run, reenactor=config), name, args.device)
        for name, config in settings(
            run.reenactor, run.weights or asset_path(EMBEDDED_WEIGHTS)
        ).items()
    ]
    rows += [row_of(replace(run, weights=path), name, args.device) for name, path in files]
    text = (
        f"# Ablation\n\nCross-reenactment of synthetic people, {run.pairs.num_cross} pairs. "
        "All rows of settings have the\n"
        "weights of the first row, which were trained for the start and the steps of that row.\n\n"
    )
    with atomic_output(args.out.with_suffix(".md")) as temporary:
        temporary.write_text(text + table(rows))
    with atomic_output(args.out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
