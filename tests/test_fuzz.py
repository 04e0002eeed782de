"""The fuzzer's own oracle, and a few hundred of its cases."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reenact.commands.configs import find_config
from reenact.config import load_config
from reenact.errors import UserError
from reenact.inference.run_config import InferRun
from tools.fuzz import material
from tools.fuzz.__main__ import GENERATORS, kind_of, tried
from tools.fuzz.case import Case, Interruption, broken_promise, judged
from tools.fuzz.texts import option_case, options


def test_the_same_number_makes_the_same_case(tmp_path: Path):
    for name, generator in GENERATORS.items():
        folders = [tmp_path / f"{name}{i}" for i in (0, 1)]
        for folder in folders:
            folder.mkdir()
        a, b = (generator(np.random.default_rng([3, 5]), folder) for folder in folders)
        words = [word.replace(str(folders[1]), str(folders[0])) for word in b.words]
        assert list(a.words) == words
        for path in sorted(folders[0].iterdir()):
            if path.is_file() and path.suffix not in (".mkv", ".webm"):  # these hold random ids
                assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path


def test_every_kind_takes_its_turn():
    kinds = {kind_of(number, list(GENERATORS)) for number in range(90)}
    assert kinds == set(GENERATORS)


def test_the_oracle_sees_broken_promises(tmp_path: Path):
    case = Case(kind="x", words=("infer",), output=tmp_path / "out.png")
    assert broken_promise(case, None, "") == "a traceback"
    assert broken_promise(case, 3, "") == "exit code 3"
    assert broken_promise(case, 1, "error: a\nerror: b\n") == "2 error lines for exit code 1"
    assert broken_promise(case, 1, "error: a\n") is None
    assert broken_promise(case, 0, "") == "exit code 0 without an output"
    (tmp_path / ".out.tmp.png").write_bytes(b"x")
    assert broken_promise(case, 1, "error: a\n") == "left behind: .out.tmp.png"
    interrupted = dataclasses.replace(case, interruption=Interruption(signum=15), output=None)
    assert broken_promise(interrupted, 143, "") is None
    assert broken_promise(interrupted, 130, "") == "exit code 130"


def test_a_good_run_keeps_the_promises(tmp_path: Path):
    source = material.write_photo(tmp_path / "a.png")
    target = material.write_clip(tmp_path / "b.mp4")
    output = tmp_path / "c.mp4"
    words = material.inference(tmp_path, source, target, output)
    case = Case(kind="good", words=words, output=output, num_frames=4, files=(source, target))
    outcome = judged(case)
    assert (outcome.code, outcome.problem) == (0, None), outcome.text


def test_options_of_a_case_are_options(tmp_path: Path):
    case = option_case(np.random.default_rng(0), tmp_path)
    assert any(word.startswith("--set=") for word in case.words)


def test_about_half_of_the_options_fit_their_keys():
    rng = np.random.default_rng(0)
    path, fits = find_config("embedded/infer"), 0
    for _ in range(200):
        overrides = [word.removeprefix("--set=") for word in options(rng, InferRun, 2)]
        with contextlib.suppress(UserError):
            load_config(path, InferRun, overrides)
            fits += 1
    assert 80 <= fits <= 160


@pytest.mark.slow
def test_three_hundred_cases_keep_every_promise():
    broken = [
        f"case {number} ({case.kind}): {outcome.problem}\n{' '.join(case.words)}\n{outcome.text}"
        for number, case, outcome in tried(0, range(300), list(GENERATORS), None)
        if outcome.problem is not None
    ]
    assert not broken, "\n\n".join(broken)
