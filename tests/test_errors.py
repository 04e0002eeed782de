import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from diffae import CheckpointError
from reenact import errors
from reenact.errors import UserError, counted, exit_code


def _raising(error: BaseException):
    def main() -> None:
        raise error

    return main


def test_success_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_counted_words() -> None:
    assert [counted(n, "clip") for n in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
    assert [counted(n, "person", "people") for n in (1, 3)] == ["1 person", "3 people"]


@pytest.mark.parametrize("kind", [UserError, CheckpointError])
def test_user_errors_are_one_line_on_stderr(kind, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(_raising(kind("a.mp4: is broken,\n  save it again"))) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: a.mp4: is broken, save it again\n"


def test_ctrl_c_is_130() -> None:
    assert exit_code(_raising(KeyboardInterrupt())) == 130


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.npy"), "a.npy: cannot read or write"),
        (OSError(errno.EACCES, "Permission denied", "b"), "b: cannot read or write (permission"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "c"), "c: cannot read or write (file"),
        (MemoryError(), "not enough memory, choose a smaller size"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto"), "memory (CUDA out of memory."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough"),
    ],
)
def test_limits_of_the_machine_are_one_line(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(_raising(error)) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert words in line


def test_memory_that_no_machine_has_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for allocate in (lambda: torch.empty(2**55), lambda: np.empty(2**55), lambda: bytes(2**55)):
        assert exit_code(lambda make=allocate: make()) == 1  # type: ignore[misc]
        assert capsys.readouterr().err.startswith("error: not enough memory")


@pytest.mark.parametrize(
    "error", [ValueError("bug"), KeyError("bug"), FileNotFoundError(2, "bug"), SystemExit(2)]
)
def test_bugs_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)):
        exit_code(_raising(error))


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_error_that_a_library_makes_of_a_signal_counts_as_the_signal(
    name: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def main() -> None:
        try:
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(5)
        except BaseException as error:  # an interrupted import can end so
            raise RecursionError("import") from error

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert exit_code(main) == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_signal_waits_for_the_import_of_torch(tmp_path, capsys) -> None:
    (tmp_path / "torch.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(0.3)\n"
        "print('imported')\n"
    )
    code = (
        "import sys, time; from reenact.errors import exit_code\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "def main():\n    import torch\n    time.sleep(20)\n"
        "sys.exit(exit_code(main))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (143, "imported\n")
    assert done.stderr == "stopped by SIGTERM\n"


def test_a_signal_is_not_lost_in_a_module_that_hides_errors(tmp_path) -> None:
    (tmp_path / "hiding.py").write_text(
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(0.3)\n"
        "except BaseException:\n    pass\n"
    )
    code = (
        "import sys, time; from reenact.errors import exit_code\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "def main():\n    import hiding\n    time.sleep(20)\n"
        "sys.exit(exit_code(main))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_long_error_is_shortened_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(_raising(UserError(f"a.mp4: {'x' * 50_000}, write it again"))) == 1
    line = capsys.readouterr().err
    assert len(line) < 1100
    assert line.startswith("error: a.mp4: xxx")
    assert line.endswith("xxx, write it again\n")


def test_reading_arguments_does_not_import_torch() -> None:
    code = "import sys, reenact.errors; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_error_of_one_process_is_printed_with_its_number(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(errors, "SECONDS_TO_WAIT", 0)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    assert exit_code(_raising(UserError("a.mp4: gone"))) == 1
    assert capsys.readouterr().err == "error: process 3: a.mp4: gone\n"
