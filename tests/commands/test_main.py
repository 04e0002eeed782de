"""The command line itself: names, help, exit codes, streams and signals."""

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from reenact.commands.arguments import Parser
from reenact.commands.configs import config_names, find_config
from reenact.commands.main import COMMANDS, run_command
from reenact.errors import UserError
from reenact.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reenact", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        **options,
    )


ONE_BY_ONE = """
import contextlib, io, json, sys
from reenact.commands.main import run_command

for name, *arguments in json.loads(sys.argv[1]):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = run_command(name, name, arguments)
        except SystemExit as stop:
            code = stop.code
    assert "torch" not in sys.modules, name
    print(json.dumps([code, output.getvalue(), errors.getvalue()]))
"""


def without_torch(lines: list[list[str]]) -> list[list]:
    """Exit code, stdout and stderr of each command line. None of them may import torch."""
    command = [sys.executable, "-c", ONE_BY_ONE, json.dumps(lines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_version_and_usage():
    assert run("--version").stdout == f"diffusionact-open {__version__}\n"
    usage = run("--help")
    assert usage.returncode == 0
    assert all(f"  {name} " in usage.stdout for name in COMMANDS)


def test_an_unknown_command_is_a_usage_error():
    for name, hint in (
        ("animate", "; python -m reenact --help lists the commands"),
        ("motions", ", did you mean 'motion'?"),
    ):
        done = run(name)
        assert (done.returncode, done.stderr) == (2, f"error: no command {name!r}{hint}\n")


WRONG_LINES = {
    "--expresion-strength 2": "unknown option --expresion-strength, did you mean "
    "'--expression-strength'?",
    "--nonsense": "unknown option --nonsense; x --help all shows the options",
    "--max-frames many": "argument --max-frames: invalid int value: 'many'; x --help all shows "
    "the options",
}


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_wrong_command_line_is_one_line(line: str, capsys):
    assert run_command("infer", "x", ["photo.jpg", "clip.mp4", *line.split()]) == 2
    assert capsys.readouterr().err == f"error: {WRONG_LINES[line]}\n"


def test_help_of_every_command_answers_without_torch():
    done = without_torch([[name, "--help"] for name in COMMANDS])
    for name, (code, output, errors) in zip(COMMANDS, done, strict=True):
        assert (code, errors) == (0, "")
        assert output.startswith(f"usage: {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_on_a_screen_of_80_times_24(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    module = importlib.import_module(COMMANDS[name][0])
    parser = Parser(f"diffusionact {name}", str(module.__doc__))
    module.add_arguments(parser)
    lines = parser.format_help().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option_and_says_what_holds_without_it(name: str):
    module = importlib.import_module(COMMANDS[name][0])
    parser = Parser(name, "")
    module.add_arguments(parser)
    for action in parser._actions:
        text = action.help or ""
        assert text, f"{action.dest} has no help"
        is_switch = action.nargs == 0
        if action.option_strings and not (is_switch or action.required or action.default == []):
            assert "default" in text, f"{action.dest} does not say its default"
            given = action.default not in (None, "", 0, 0.0)
            assert not given or "%(default)s" in text or str(action.default) in text


def test_a_source_without_a_target_is_a_usage_error():
    done = run("infer", "photo.jpg")
    assert (done.returncode, done.stderr) == (
        2,
        "error: give both source and target, or none for the demo\n",
    )


def test_a_file_name_with_a_dash_gets_a_hint(tmp_path, monkeypatch, capsys):
    (tmp_path / "-face.jpg").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert run_command("infer", "infer", ["-face.jpg", "b.mp4"]) == 2
    assert "write ./-face.jpg" in capsys.readouterr().err


def test_shipped_configs_are_found_by_name_and_by_path():
    names = config_names()
    assert {"embedded/infer", "voxceleb256/align", "tiny"} <= set(names)
    for name in names:
        assert find_config(name).is_file()
    by_path = find_config(str(ROOT / "configs/embedded/infer.yaml"))
    assert by_path == find_config("embedded/infer")
    with pytest.raises(UserError, match="no such config file"):
        find_config("embedded/nothing")


def test_configs_are_copied_to_a_new_folder_only(tmp_path: Path):
    done = run("configs", "--copy", str(tmp_path / "mine"))
    assert done.returncode == 0
    assert (tmp_path / "mine/embedded/infer.yaml").is_file()
    again = run("configs", "--copy", str(tmp_path / "mine"))
    assert again.returncode == 1
    assert "exists already" in again.stderr


WAITING = """
import sys, time
from pathlib import Path
from unittest.mock import patch
from reenact.errors import exit_code
from reenact.files import atomic_output

def main():
    with atomic_output(Path(sys.argv[1])) as temporary:
        temporary.write_text("half")
        print("ready", flush=True)
        for _ in range(3000):  # a signal right before a sleep is seen after it
            time.sleep(0.01)

sys.exit(exit_code(main))
"""


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("SIGINT", 130, "interrupted"),
        ("SIGTERM", 143, "stopped by SIGTERM"),
        ("SIGHUP", 129, "stopped by SIGHUP"),
    ],
)
def test_a_signal_leaves_no_file_and_says_one_line(tmp_path: Path, name: str, code: int, line: str):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(tmp_path / "out.txt")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, f"{line}\n")
    assert list(tmp_path.iterdir()) == []


def test_what_kill_9_leaves_is_swept_by_a_later_run(tmp_path: Path, capsys):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(tmp_path / "out.txt")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=20)
    (left,) = tmp_path.iterdir()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (two_days_ago, two_days_ago))
    sheet = ["--out", str(tmp_path / "a.png"), "--rows", "1", "--size", "8"]
    assert run_command("synthetic-sheet", "x", sheet) == 0, capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_mistyped_output_is_refused_without_torch(tmp_path: Path):
    photo = tmp_path / "a.png"
    photo.write_bytes(b"x")
    lines = (
        ["infer", str(photo), str(photo), "--output", "result.avi"],
        ["infer", str(photo), str(photo), "--output", f"{photo}/result.png"],
        ["pose", str(photo), "--output", "result.mp4"],
    )
    for code, _, errors in without_torch([*lines]):
        assert code == 1
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1


def test_a_mistyped_key_is_refused_without_torch():
    lines = {
        "infer --set motoin=relative": "--set motoin: unknown key 'motoin', did you mean",
        "infer --set motion=relativ": "--set motion: 'motion' must be one of",
        "infer --config nothing": "nothing: no such config file",
        "train --config tiny --set optimizer.lrr=1": "--set optimizer.lrr: unknown key 'lrr'",
        "eval --config embedded/eval --set pairs.x=1": "--set pairs.x: unknown key 'x'",
        "prepare --config dryrun/prepare --set x=1": "--set x: unknown key 'x'",
    }
    done = without_torch([words.split() for words in lines])
    for line, (code, _, errors) in zip(lines.values(), done, strict=True):
        assert (code, errors.count("\n")) == (1, 1), errors
        assert errors.startswith(f"error: {line}")


@pytest.mark.parametrize("script", ["train.py", "infer.py", "eval.py", "reenact/__main__.py"])
def test_ctrl_c_during_the_first_imports_leaves_no_traceback(script: str):
    code = f"""
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "reenact.commands.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
runpy.run_path({script!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    # A shell shows 130 for a process that ended by this signal.
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--rows", "0"], "--rows: must be at least 1, got 0"),
        (["--size", "0"], "size: 0, expected at least 1"),
        (["--size", "99999"], "size: 99999, expected at most 4096"),
        (["--seed", "-1"], "seed: -1, expected at least 0"),
        (["--out", "sheet.avi"], "sheet.avi: cannot write this kind of file"),
        (["--out", "file/sheet.png"], "file/sheet.png: file is not a folder"),
    ],
)
def test_a_sheet_that_cannot_be_made_is_one_line(words, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run_command("synthetic-sheet", "x", ["--out", "sheet.png", *words]) == 1
    assert capsys.readouterr().err.startswith(f"error: {line}")


@pytest.mark.parametrize("out", ["file", "file/data", "/proc/data"])
def test_a_folder_of_clips_that_cannot_be_made_is_one_line(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run_command("synthetic", "x", ["--out", out, "--clips", "1"]) == 1
    assert "cannot make this folder" in capsys.readouterr().err


def test_a_number_of_5000_digits_is_a_short_usage_error(capsys):
    assert run_command("infer", "x", ["--seed", "1" * 5000]) == 2
    assert len(capsys.readouterr().err) < 1000


def test_a_long_word_with_a_dash_is_a_usage_error(capsys):
    assert run_command("infer", "x", ["-" + "a" * 5000]) == 2
    assert len(capsys.readouterr().err) < 1000


SAYING = (
    "import sys; from reenact.errors import exit_code, say; "
    "sys.exit(exit_code(lambda: say('é done')))"
)


@pytest.mark.parametrize(
    ("shell", "code", "errors"),
    [
        ("{python} -c {code} >&-", 0, ""),
        ("{python} -c {code} 2>&-", 0, ""),
        ("({python} -c {code}; echo $? >&2) | true", 0, "0\n"),
        ("PYTHONIOENCODING=ascii {python} -c {code}", 0, ""),
        (
            "{python} -c {code} >/dev/full",
            1,
            "error: standard output: cannot write (no space left on device); the work itself is "
            "complete\n",
        ),
    ],
)
def test_closed_full_and_plain_streams(shell: str, code: int, errors: str):
    line = shell.format(python=shlex.quote(sys.executable), code=shlex.quote(SAYING))
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, errors)


def test_a_forked_worker_ends_silently_on_sigterm():
    code = """
import multiprocessing, sys, time
from reenact.errors import exit_code

def main():
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    worker.start()
    time.sleep(0.3)
    worker.terminate()
    worker.join()
    print(worker.exitcode)

sys.exit(exit_code(main))
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("-15\n", "")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("infer", {}, {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}),
        ("train", {}, {"GOMP_SPINCOUNT": "1000"}),
        ("train", {"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ("train", {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_threads_that_wait_fall_asleep(name: str, known: dict[str, str], expected: dict[str, str]):
    variables = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT")
    with patch.dict(os.environ):
        for variable in variables:
            os.environ.pop(variable, None)
        os.environ.update(known)
        assert run_command(name, name, ["--no-such-option"]) == 2
        assert {v: os.environ[v] for v in variables if v in os.environ} == expected
