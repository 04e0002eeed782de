"""Prepare raw videos: python -m reenact.data.prepare --config configs/voxceleb256/prepare.yaml

Under torchrun each process takes its share.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

import torch

from reenact.config import load_config
from reenact.data.prepare.plan import Share
from reenact.data.prepare.run import Summary, prepare
from reenact.data.prepare.run_config import PrepareRun
from reenact.device import pick_device
from reenact.errors import exit_code


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
    share = _share(arguments.shard)
    device = pick_device(arguments.device)
    if device.type == "cuda" and device.index is None:
        local = int(os.environ.get("LOCAL_RANK", share.index))
        device = torch.device("cuda", local % torch.cuda.device_count())
    print(report(prepare(run, device, share), share))


def _share(text: str | None) -> Share:
    if text is not None:
        return Share.parse(text)
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    return Share.parse(f"{rank}/{count}")


def report(summary: Summary, share: Share) -> str:
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
    label = f"{share.index}/{share.count}: " if share.count > 1 else ""
    return "\n".join(label + line for line in lines)


def _kind(reason: str) -> str:
    text = reason.split(": ", 1)[-1]
    return " ".join("N" if word[:1].isdigit() else word for word in text.split())


if __name__ == "__main__":
    sys.exit(exit_code(main))
