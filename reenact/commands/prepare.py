"""Prepare raw videos: find, track and cut the faces, and store them in shards.

Stop it at any time; the same command continues. Under torchrun each process takes its share:
torchrun --nproc-per-node 8 -m reenact prepare --config voxceleb256/prepare
"""

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import counted, say

if TYPE_CHECKING:
    from reenact.data.prepare.run import PreparedPart
    from reenact.processes import World


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, run="prepare")
    add_device(parser)
    parser.add_argument(
        "--shard",
        metavar="i/n",
        help="do part i (from 0) of n, for several machines (default: everything; under torchrun "
        "the share of the process)",
    )


def run(arguments: argparse.Namespace) -> None:
    from reenact.data.prepare.run import prepare
    from reenact.data.prepare.run_config import PrepareRun
    from reenact.processes import World

    settings = read_config(arguments, PrepareRun)
    shard = arguments.shard
    world = World.from_environment() if shard is None else World.parse(shard)
    say(report(prepare(settings, world.device(arguments.device), world), world))


def report(summary: "PreparedPart", world: "World") -> str:
    """The closing lines of a process."""
    rate = (summary.num_frames + summary.num_dropped) / max(summary.seconds, 1e-9)
    lines = [
        f"{counted(summary.num_clips, 'clip')}, {counted(summary.num_frames, 'frame')} "
        f"in {summary.seconds:.0f} s "
        f"({summary.num_clips / max(summary.seconds, 1e-9):.2f} clips/s, {rate:.1f} tracked "
        f"frames/s), {counted(summary.num_dropped, 'frame')} without a face dropped, "
        f"{counted(len(summary.bad), 'bad clip')}"
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
        shards = counted(summary.missing_shards, "shard")
        lines.append(f"waiting for other processes: {shards} not done yet")
    label = f"{world.rank}/{world.size}: " if world.size > 1 else ""
    return "\n".join(label + line for line in lines)


def _kind(reason: str) -> str:
    text = reason.split(": ", 1)[-1]
    return " ".join("N" if word[:1].isdigit() else word for word in text.split())
