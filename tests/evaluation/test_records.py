import os
import signal
from pathlib import Path

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.evaluation.measuring.records import ResultFiles


def rows(*values: float) -> np.ndarray:
    return np.array([[value, -value, 0.5] for value in values], np.float32)


def test_records_and_features_survive_a_crash(tmp_path):
    files = ResultFiles(tmp_path, width=3)
    assert files.read() == {}
    files.append([{"key": "a"}, {"key": "b"}], rows(1, 2))
    # A crash cuts both files in the middle of the third pair.
    with files.records_path.open("a") as lines:
        lines.write('{"key": "c", "fea')
    with (tmp_path / "features.0.f32").open("ab") as file:
        file.write(b"12345")
    again = ResultFiles(tmp_path, width=3)
    assert list(again.read()) == ["a", "b"]
    again.append([{"key": "c"}], rows(3))
    records = again.read()
    assert again.count() == 3
    np.testing.assert_array_equal(again.features([records[key] for key in "cab"]), rows(3, 1, 2))


def test_a_kill_while_a_broken_end_is_repaired_loses_no_record(tmp_path, monkeypatch):
    files = ResultFiles(tmp_path, width=3)
    files.append([{"key": "a"}, {"key": "b"}], rows(1, 2))
    with files.records_path.open("a") as lines:
        lines.write('{"key": "c", "fea')
    before = files.records_path.read_bytes()

    def killed(path, text):
        path.write_bytes(text.encode()[:10])
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Path, "write_text", killed)
    child = os.fork()
    if child == 0:
        try:
            files.read()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    monkeypatch.undo()
    assert files.records_path.read_bytes() == before
    assert list(files.read()) == ["a", "b"]


def test_processes_write_files_of_their_own_and_read_all(tmp_path):
    for rank in range(3):
        mine = ResultFiles(tmp_path, width=3, rank=rank)
        mine.append([{"key": f"{rank}a"}, {"key": f"{rank}b"}], rows(rank, 10 + rank))
    reader = ResultFiles(tmp_path, width=3)
    records = reader.read()
    assert len(records) == reader.count() == 6
    chosen = [records[key] for key in ("2b", "0a", "1b")]
    np.testing.assert_array_equal(reader.features(chosen), rows(12, 0, 11))
    np.testing.assert_array_equal(reader.features(chosen, slice(1, 2)), rows(12, 0, 11)[:, 1:2])
    assert ResultFiles(tmp_path / "y", width=3).read() == {}


def test_features_that_do_not_fit_are_a_user_error(tmp_path):
    files = ResultFiles(tmp_path, width=3)
    files.append([{"key": "a"}], rows(1))
    records = list(files.read().values())
    (tmp_path / "features.0.f32").write_bytes(b"")
    with pytest.raises(UserError, match=r"features\.0\.f32"):
        files.features(records)
