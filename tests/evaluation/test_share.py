import threading

import pytest

from reenact.errors import UserError
from reenact.evaluation import share as share_module
from reenact.evaluation.share import Share, wait_until


def test_everything_is_taken_once():
    items = list(range(11))
    taken = [Share(rank=rank, world=4).take(items) for rank in range(4)]
    assert sorted(item for part in taken for item in part) == items
    assert Share().take(items) == items


def test_the_environment_of_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Share.from_environment() == Share()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    share = Share.from_environment()
    assert share == Share(rank=1, world=3)
    assert not share.is_first
    assert share.device("cpu") == "cpu"
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(UserError, match="RANK 3 must lie below WORLD_SIZE 3"):
        Share.from_environment()


def test_waiting_ends_when_the_condition_holds(monkeypatch):
    monkeypatch.setattr(share_module, "POLL_SECONDS", 0.01)
    event = threading.Event()
    timer = threading.Timer(0.05, event.set)
    timer.start()
    wait_until(event.is_set)
    assert event.is_set()
    timer.join()
