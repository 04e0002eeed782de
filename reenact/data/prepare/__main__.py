"""Prepare raw videos: python -m reenact.data.prepare --config configs/voxceleb256/prepare.yaml

Under torchrun each process takes its share.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from reenact.config import load_config
from reenact.data.prepare.run import PreparedPart, prepare
from reenact.data.prepare.run_config import PrepareRun
from reenact.errors import exit_code
from reenact.processes import World


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reenact.data.prepare", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a value of the config, e.g. --set source.root=/data/vox1 (repeatable)",
    )
    parser.add_argument("--shard", metavar="i/n", help="this is process i (from 0) of n")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    run = load_config(arguments.config, PrepareRun, arguments.overrides)
    shard = arguments.shard
    world = World.from_environment() if shard is None else World.parse(shard)
    print(report(prepare(run, world.device(arguments.device), world), world))


def report(summary: PreparedPart, world: World) -> str:
    """The closing lines of a process."""
    rate = (summary.num_frames + summary.num_dropped) / max(summary.seconds, 1e-9)
    lines = [
        f"{summary.num_clips} clips, {summary.num_frames} frames in {summary.seconds:.0f} s "
        f"({summary.num_clips / max(summary.seconds, 1e-9):.2f} clips/s, {rate:.1f} tracked "
        f"frames/s), {summary.num_dropped} frames without a face dropped, {len(summary.bad)} bad "
        "clips"
    ]
    if summary.stage_shares:
        lines.append(f"time: {summary.stage_shares}")
    if summary.bad:
        # The reason without its path and numbers: what it has in common with others.
        kinds = Counter(_kind(clip.reason) for clip in summary.bad)
        lines += [f"bad: {count} x {kind}" for kind, count in kinds.most_common(5)]
    if summary.manifest is not None:
        lines.append(str(summary.manifest))
    else:
        lines.append(f"{summary.missing_shards} shards of other processes are missing")
    label = f"{world.rank}/{world.size}: " if world.size > 1 else ""
    return "\n".join(label + line for line in lines)


def _kind(reason: str) -> str:
    text = reason.split(": ", 1)[-1]
    return " ".join("N" if word[:1].isdigit() else word for word in text.split())


if __name__ == "__main__":
    sys.exit(exit_code(main))
