"""Try random cases: python -m tools.fuzz --cases 5000 --seed 7

Case i of a seed is the same on every machine. A case that breaks a promise is reduced and kept
below `--keep`, with its files and its command. The exit code is 1 if there is one.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reenact.errors import UserError, exit_code
from tools.fuzz.case import Case, Generator, Outcome, judged, reduced
from tools.fuzz.command_lines import command_case
from tools.fuzz.interruptions import signal_case, stream_case
from tools.fuzz.motions import motion_case
from tools.fuzz.pair_lists import pair_list_case
from tools.fuzz.pictures import picture_case
from tools.fuzz.texts import config_case, name_case, option_case, train_case
from tools.fuzz.videos import video_case
from tools.fuzz.weight_files import weights_case

GENERATORS: dict[str, Generator] = {
    "picture": picture_case,
    "video": video_case,
    "motion": motion_case,
    "option": option_case,
    "train": train_case,
    "config": config_case,
    "name": name_case,
    "weights": weights_case,
    "pairs": pair_list_case,
    "command": command_case,
    "signal": signal_case,
    "stream": stream_case,
}
SLOW = ("signal", "stream")
"""These start a program of their own. They are tried in every `SLOW_EVERY`-th case only."""
SLOW_EVERY = 30


def tried(
    seed: int, numbers: range, kinds: list[str], keep: Path | None
) -> Iterator[tuple[int, Case, Outcome]]:
    """Run the cases and yield each with what became of it."""
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="fuzz") as name:
            folder = Path(name)
            rng = np.random.default_rng([seed, number])
            case = GENERATORS[kind_of(number, kinds)](rng, folder)
            with inside(folder):
                outcome = judged(case)
                if outcome.problem is not None and keep is not None:
                    keep_case(reduced(case), outcome, folder, keep / f"{seed}-{number}")
        yield number, case, outcome


def kind_of(number: int, kinds: list[str]) -> str:
    """The kinds take turns."""
    slow = [kind for kind in kinds if kind in SLOW]
    fast = [kind for kind in kinds if kind not in SLOW]
    if not fast:
        return slow[number % len(slow)]
    if slow and number % SLOW_EVERY == SLOW_EVERY - 1:
        return slow[number // SLOW_EVERY % len(slow)]
    return fast[number % len(fast)]


def keep_case(case: Case, outcome: Outcome, folder: Path, place: Path) -> None:
    """Copy the files of a case; the command names them by their new place."""
    shutil.copytree(folder, place, dirs_exist_ok=True)
    line = shlex.join(["python", "-m", "reenact", *case.words]).replace(str(folder), str(place))
    (place / "command.txt").write_text(f"{line}\n\n{outcome.problem}\n\n{outcome.text}\n")


class inside:
    """Work in a folder, so that relative outputs of a case stay in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.before = folder, Path.cwd()

    def __enter__(self) -> None:
        os.chdir(self.folder)

    def __exit__(self, *exception: object) -> None:
        os.chdir(self.before)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kinds", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--keep", type=Path, default=Path("results/fuzz"))
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.cases)
    codes: Counter[str] = Counter()
    broken = []
    cases = tried(arguments.seed, numbers, arguments.kinds, arguments.keep.absolute())
    for number, case, outcome in tqdm(cases, total=len(numbers), unit="case"):
        codes[f"{case.kind} {outcome.code}"] += 1
        if outcome.problem is not None:
            broken.append(f"case {number} ({case.kind}): {outcome.problem}")
            tqdm.write(broken[-1])
    print(", ".join(f"{name}: {count}" for name, count in sorted(codes.items())))
    if broken:
        raise UserError(f"{len(broken)} of {len(numbers)} cases broke a promise: {arguments.keep}")
    print(f"{len(numbers)} cases, 0 broken promises")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
