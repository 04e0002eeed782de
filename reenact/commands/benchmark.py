"""Write the benchmark: synthetic people with the true picture of every result.

Each video is a folder with source.png, target.mp4 and truth/. docs/benchmark.md has the protocol.
"""

import argparse
from pathlib import Path

from reenact.errors import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the benchmark")
    parser.add_argument(
        "--size", type=int, choices=(256, 128), default=256, help="side in pixels (default: 256)"
    )
    parser.add_argument(
        "--track",
        action="append",
        metavar="NAME",
        help="everyday, turns or expressions (repeatable; default: all)",
    )


def run(arguments: argparse.Namespace) -> None:
    from reenact.evaluation.benchmark.spec import read_spec
    from reenact.evaluation.benchmark.write import write_benchmark

    tracks = arguments.track or list(read_spec().tracks)
    write_benchmark(arguments.out, arguments.size, tracks)
    say("\n".join(f"{arguments.out / track}/videos.csv" for track in tracks))
