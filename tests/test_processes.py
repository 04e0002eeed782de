import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from reenact import processes
from reenact.errors import UserError
from reenact.processes import ALONE, World, joined, wait_until

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(processes, "pick_device", lambda name: torch.device(name))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_every_item_belongs_to_one_process():
    assert [list(World(rank=r, size=3).part(range(7))) for r in range(3)] == [
        [0, 3, 6],
        [1, 4],
        [2, 5],
    ]
    assert ALONE.part(["a", "b"]) == ["a", "b"]


def test_a_process_alone_exchanges_with_nobody():
    assert ALONE.whole(torch.arange(3.0), 3).tolist() == [0, 1, 2]
    assert ALONE.any(True)
    assert not ALONE.any(False)


def test_a_process_without_torchrun_is_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as (world, device):
        assert (world, device) == (ALONE, torch.device("cpu"))


def test_the_environment_of_torchrun(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    world = World.from_environment()
    assert world == World(rank=1, size=3)
    assert not world.is_main
    assert world.device("cpu") == torch.device("cpu")
    for rank in ("3", "one", "-1"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(UserError, match=f"RANK is '{rank}' and WORLD_SIZE is '3'"):
            World.from_environment()


def test_parts_by_hand():
    assert World.parse("2/5") == World(rank=2, size=5)
    for text in ("5/5", "1", "a/b", "-1/2"):
        with pytest.raises(UserError, match="--shard"):
            World.parse(text)


def test_each_process_takes_its_own_gpu(two_gpus, monkeypatch):
    # On the second machine of two, with two processes each.
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    for local_rank in (0, 1):
        monkeypatch.setenv("LOCAL_RANK", str(local_rank))
        device = World(rank=2 + local_rank, size=4).device("cuda")
        assert device == torch.device("cuda", local_rank)
    with pytest.raises(UserError, match="all processes would share this GPU"):
        World(rank=1, size=4).device("cuda:1")


def test_processes_by_hand_take_turns_on_the_gpus(two_gpus, monkeypatch):
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert World(rank=3, size=4).device("cuda") == torch.device("cuda:1")
    assert World(rank=3, size=4).device("cuda:0") == torch.device("cuda:0")
    assert ALONE.device("cuda") == torch.device("cuda")


def test_training_needs_a_gpu_for_each_process(two_gpus, monkeypatch):
    values = {"RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "3"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="more processes than the 2 GPUs"), joined("cuda"):
        pass


def test_waiting_ends_when_the_condition_holds(monkeypatch):
    monkeypatch.setattr(processes, "POLL_SECONDS", 0.01)
    event = threading.Event()
    timer = threading.Timer(0.05, event.set)
    timer.start()
    wait_until(event.is_set)
    assert event.is_set()
    timer.join()


def test_torchrun_shows_the_error_of_all_processes_once_and_last(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from reenact.errors import UserError, exit_code\n"
        "def main():\n"
        "    raise UserError('run.yaml: no such file')\n"
        "sys.exit(exit_code(main))\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "3", str(script)],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert lines.count("error: run.yaml: no such file") == 1
    closing = lines[-4:]
    assert any("traceback : error: run.yaml: no such file" in line for line in closing)
