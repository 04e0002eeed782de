"""Our numbers on the benchmark: docs/results/benchmark.json, and the tables in docs/benchmark.md.

    python -m tools.measure_benchmark [--benchmark DIR] [--size PIXELS] [--set KEY=VALUE ...]

It writes the benchmark where it is missing, measures each track with configs/benchmark/eval.yaml,
and replaces the numbers in the two files. It takes about ten minutes on one core. The numbers
belong to a commit, so all code must be committed. A stopped run of the same commit continues.
"""

import argparse
import json
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from reenact.config import load_config
from reenact.errors import UserError, exit_code
from reenact.evaluation.benchmark.spec import SIZES, VERSION, read_spec
from reenact.evaluation.benchmark.write import write_benchmark
from reenact.evaluation.measuring.metrics import BY_NAME
from reenact.evaluation.reporting.prose import MODE_TITLES
from reenact.evaluation.reporting.tables import (
    Cell,
    Table,
    difference_cell,
    markdown_table,
    number,
)
from reenact.evaluation.run import run_evaluation
from reenact.evaluation.run_config import EvalRun
from reenact.files import atomic_output

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "benchmark" / "eval.yaml"
PAGE = ROOT / "docs" / "benchmark.md"
NUMBERS = ROOT / "docs" / "results" / "benchmark.json"
START, END = "<!-- numbers -->\n", "<!-- end of numbers -->\n"
COLUMNS = ("lpips", "l1", "psnr", "ssim", "csim", "apd", "aed", "gaze_error", "nme", "found")
FLOOR = "warp_only"
"""The row whose difference from ours has a table: what the networks add."""

Numbers = dict[str, Any]


def numbers_of(summaries: dict[str, dict[str, Any]]) -> Numbers:
    """What is published of the reports, which are given by track."""
    meta = next(iter(summaries.values()))["meta"]
    ours = meta["settings"]["ours"]
    tracks = {}
    for track, summary in summaries.items():
        tracks[track] = {
            mode: {
                "num_pairs": summary["meta"]["num_pairs"][mode],
                "rows": {row: _chosen(values) for row, values in summary[mode].items()},
                "intervals": {
                    row: _chosen(values) for row, values in summary["intervals"][mode].items()
                },
                "differences": {
                    row: _chosen(values) for row, values in summary["differences"][mode].items()
                },
            }
            for mode in ("self", "cross")
        }
    return {
        "benchmark": VERSION,
        "size": meta["image_size"],
        "params": meta["config"]["params"],
        "weights_sha256": meta["weights_sha256"],
        "networks_sha256": ours["networks_sha256"],
        "precision": ours["precision"],
        "tracks": tracks,
    }


def section(numbers: Numbers) -> str:
    """The tables as Markdown, with the lines that say what was measured."""
    tracks = numbers["tracks"]
    counts = [
        f"{sum(tracks[track][mode]['num_pairs'] for track in tracks)} {mode} pairs"
        for mode in ("self", "cross")
    ]
    lines = [
        f"Measured on {numbers['date']} with revision `{numbers['revision']}`: version "
        f"{numbers['benchmark']} of the",
        f"benchmark at {numbers['size']} pixels, tracks {', '.join(tracks)}, {counts[0]} and "
        f"{counts[1]}.",
        f"Weights: file sha256 `{numbers['weights_sha256'][:12]}`, all networks "
        f"`{numbers['networks_sha256'][:12]}`, computed in {numbers['precision']},",
        f"`params: {numbers['params']}`.",
    ]
    for mode in ("self", "cross"):
        lines += ["", f"{MODE_TITLES[mode]}:", "", *markdown_table(_mode_table(tracks, mode))]
    lines += [
        "",
        f"`{FLOOR}` minus ours, pair by pair. Brackets hold 95 % confidence intervals over people.",
        "Bold: the interval does not contain 0.",
        "",
        *markdown_table(_difference_table(tracks), with_intervals=True),
    ]
    return "\n".join(lines) + "\n"


def with_section(page: str, text: str) -> str:
    """The page with `text` between the two marks. Raises UserError when they are missing."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(f"{PAGE}: lacks the lines {START.strip()} and {END.strip()}, add them")
    return f"{before}{START}\n{text}\n{END}{after}"


def _chosen(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in COLUMNS if name in values}


def _mode_table(tracks: Numbers, mode: str) -> Table:
    names, rows = [], []
    for track, modes in tracks.items():
        for row, values in modes[mode]["rows"].items():
            names.append(f"{track}: {row}")
            rows.append([Cell(text=number(values[c], BY_NAME[c].digits)) for c in COLUMNS])
    return Table(headers=[BY_NAME[c].header for c in COLUMNS], names=names, rows=rows)


def _difference_table(tracks: Numbers) -> Table:
    columns = [c for c in COLUMNS if BY_NAME[c].pair is not None]
    names, rows = [], []
    for track, modes in tracks.items():
        for mode, parts in modes.items():
            names.append(f"{track}: {mode}")
            rows.append(
                [
                    difference_cell(parts["differences"][FLOOR].get(c), BY_NAME[c].digits)
                    for c in columns
                ]
            )
    return Table(headers=[BY_NAME[c].header for c in columns], names=names, rows=rows)


def revision(root: Path) -> str:
    """The commit of the code. Raises UserError if the code has changed since, or without git."""

    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True)
        if done.returncode != 0:
            raise UserError(f"{root}: git cannot name the commit of the code, use a git clone")
        return done.stdout.strip()

    if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"):
        raise UserError(f"{root}: has changes; commit them first, the numbers belong to a commit")
    return git("rev-parse", "--short=12", "HEAD")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, default=Path("benchmark128"), metavar="DIR")
    parser.add_argument("--size", type=int, choices=SIZES, default=128)
    parser.add_argument("--track", action="append", metavar="NAME", help="default: all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    tracks = args.track or list(read_spec().tracks)
    commit = revision(ROOT)
    write_benchmark(args.benchmark, args.size, tracks)
    summaries = {}
    for track in tracks:
        folder = f"data.folder={args.benchmark / track / 'clips'}"
        run = load_config(CONFIG, EvalRun, [folder, *args.set])
        report = run_evaluation(replace(run, output=run.output / commit), args.device)
        assert report is not None  # only further processes of torchrun get none
        summaries[track] = report.summary
    numbers = {"date": date.today().isoformat(), "revision": commit, **numbers_of(summaries)}
    page = with_section(PAGE.read_text(encoding="utf-8"), section(numbers))
    with atomic_output(NUMBERS) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1) + "\n")
    with atomic_output(PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
