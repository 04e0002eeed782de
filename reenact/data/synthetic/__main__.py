"""python -m reenact.data.synthetic --out DIR --clips N"""

from __future__ import annotations

import argparse
from pathlib import Path

from reenact.data.synthetic.clips import SyntheticConfig
from reenact.data.synthetic.generate import generate
from reenact.data.synthetic.person import SPLIT_CODES
from reenact.errors import UserError, exit_code


def parse_args() -> SyntheticConfig:
    parser = argparse.ArgumentParser(prog="python -m reenact.data.synthetic", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--clips", type=int, required=True, help="number of clips of the split")
    parser.add_argument("--frames", type=int, default=16, help="frames per clip")
    parser.add_argument("--size", type=int, default=64, help="side of the crops in pixels")
    parser.add_argument("--split", choices=tuple(SPLIT_CODES), default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--cross", type=int, default=8, help="cross frames per clip")
    args = parser.parse_args()
    try:
        return SyntheticConfig(**vars(args))
    except ValueError as error:
        raise UserError(str(error)) from error


def main() -> None:
    config = parse_args()
    try:
        path = generate(config, progress=True)
    except ValueError as error:
        raise UserError(str(error)) from error
    print(path)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
