"""Run the whole way from raw videos to the report, on synthetic people, in minutes.

The steps are the commands of docs/voxceleb.md with the small configs of configs/dryrun. Each
command is printed before it runs. Nothing from VoxCeleb is needed.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from reenact.errors import UserError, say

DEFAULT_OUT = "runs/dryrun"
"""The folder that the configs name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path(DEFAULT_OUT), help="new folder (default: %(default)s)"
    )
    parser.add_argument(
        "--layout",
        choices=("flat", "frames_cropped", "release"),
        default="release",
        help="layout of the raw videos: the three that VoxCeleb comes in (default: release)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="started by torchrun if above 1 (default: %(default)s)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")


def run(arguments: argparse.Namespace) -> None:
    if arguments.processes < 1:
        raise UserError(f"--processes: must be at least 1, got {arguments.processes}")
    if arguments.out.exists():
        raise UserError(f"{arguments.out}: exists already, choose a new folder with --out")
    for number, words in enumerate(steps(arguments.out, arguments.layout), start=1):
        command = launched(words, arguments.processes if number > 1 else 1, arguments.device)
        print(f"\n[{number}/6] {' '.join(command)}", file=sys.stderr, flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise UserError(f"step {number} of 6 failed, its error stands above")
    say(f"the whole way works: {arguments.out}/report/report.html")


def steps(out: Path, layout: str) -> list[list[str]]:
    """The words of each step after `python -m reenact`."""

    def moved(**keys: str) -> list[str]:
        """`--set` for the paths of a config, where they are not the ones that it names."""
        if str(out) == DEFAULT_OUT:
            return []
        return [f"--set={key.replace('__', '.')}={out}/{name}" for key, name in keys.items()]

    data = {"data__root": "data"}
    raw = ["synthetic-raw", "--out", f"{out}/raw", "--layout", layout]
    return [
        [*raw, "--clips", "16", "--frames", "8"],
        ["prepare", "--config", "dryrun/prepare", *moved(source__root="raw", out="data")],
        [
            *("train", "--config", "dryrun/autoencoder"),
            *moved(**data, run_dir="autoencoder", export="diffae.safetensors"),
        ],
        [
            *("train", "--config", "dryrun/align"),
            *moved(**data, run_dir="align", export="align.safetensors", init="diffae.safetensors"),
        ],
        [
            *("train", "--config", "dryrun/reenact"),
            *moved(
                **data, run_dir="reenact", export="reenact.safetensors", init="align.safetensors"
            ),
        ],
        [
            *("eval", "--config", "dryrun/eval", "--output", f"{out}/report"),
            *moved(weights="reenact.safetensors", data__folder="data"),
        ],
    ]


def launched(words: list[str], processes: int, device: str) -> list[str]:
    """The command line of a step: python, or torchrun for several processes."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone"]
        launcher += ["--nproc-per-node", str(processes)]
    device_option = [] if words[0] == "synthetic-raw" else ["--device", device]
    return [*launcher, "-m", "reenact", *words, *device_option]
