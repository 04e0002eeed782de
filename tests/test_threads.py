"""Work in threads: order, errors, closing, and how far it runs ahead."""

import gc
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from reenact.threads import in_order, meanwhile, read_ahead, torch_threads


@pytest.fixture(params=[1, 2, 5], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    with torch_threads(request.param):
        yield request.param


def running() -> set[threading.Thread]:
    return set(threading.enumerate())


def test_results_keep_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))  # later items are ready before earlier ones
        return item * item

    before = running()
    assert list(in_order(work, range(20))) == [i * i for i in range(20)]
    assert running() == before
    assert list(in_order(work, [])) == []


def test_workers_share_the_threads_of_torch(threads: int) -> None:
    shares = list(in_order(lambda _: torch.get_num_threads(), range(8)))
    workers = min(threads, 4)
    assert shares == [threads // workers] * 8
    assert torch.get_num_threads() == threads


def test_an_error_comes_in_place_of_its_result() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise KeyError(item)
        return item

    results = in_order(work, range(10))
    before = running()
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    assert running() == before


def test_closing_ends_the_work(threads: int) -> None:
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        return item

    before = running()
    results = in_order(work, range(1000))
    assert next(results) == 0
    results.close()
    assert running() == before
    assert len(begun) <= min(threads, 4) + 1


def test_items_are_read_ahead_but_not_far(threads: int) -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    before, ahead = running(), read_ahead(items(), 4)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert len(made) == (3 if threads == 1 else 3 + 4)
    assert list(ahead) == list(range(3, 100))
    assert running() == before


def test_closing_closes_the_items_and_errors_pass() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield 1
            raise OSError("broken")
        finally:
            closed.append(True)

    before, ahead = running(), read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="broken"):
        next(ahead)
    assert len(closed) == 1
    ahead = read_ahead(items())
    next(ahead)
    ahead.close()
    assert len(closed) == 2
    assert running() == before


def test_a_forgotten_generator_in_a_cycle_ends_its_threads() -> None:
    class Cycle:
        pass

    before = running()
    for generator in (read_ahead(iter(range(100))), in_order(abs, range(100))):
        cycle = Cycle()
        cycle.held = cycle, generator  # type: ignore[attr-defined]
        next(generator)
        del cycle, generator
    gc.collect()
    assert running() == before


def test_work_beside_a_block_ends_with_it_and_may_be_left_out(threads: int) -> None:
    ended, is_inside = [], threading.Event()

    def work() -> None:
        assert is_inside.wait(20)
        ended.append(threading.current_thread())

    before = running()
    with meanwhile(work):
        assert not ended
        is_inside.set()
    assert [thread is threading.current_thread() for thread in ended] == [False] * (threads > 1)
    assert running() == before


def test_an_error_beside_a_block_is_raised_at_its_end(threads: int) -> None:
    def work() -> None:
        raise KeyError

    reached = []
    try:
        with meanwhile(work):
            reached.append(1)
    except KeyError:
        assert threads > 1
    else:
        assert threads == 1
    assert reached == [1]
