"""Threads: work on several things at the same time, with the results in order.

torch computes with several threads inside of one operation. These wait for each other many times a
millisecond. On small pictures, or on a busy machine, most of their time is waiting. So the threads
are given whole pieces of work instead: a batch of frames each.

All functions stay within `torch.get_num_threads()`. If that is 1, no thread is started. Results do
not depend on the number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 4
"""More would wait for Python's lock. On larger machines each of them computes with more threads."""


def in_order(
    work: Callable[[T], R], items: Sequence[T], *, ahead: int = 1
) -> Generator[R, None, None]:
    """`work(item)` for each item, in order. Several items are worked on at the same time.

    ahead: so many finished results may wait for the caller.

    An error of `work` is raised in place of its result. When the generator is closed, or its caller
    is interrupted, what has not begun is dropped, and what has begun is waited for.
    """
    threads = torch.get_num_threads()
    workers = min(threads, MOST_WORKERS, len(items))
    if workers < 2:
        yield from map(work, items)
        return

    def shared(item: T) -> R:
        with torch_threads(threads // workers):
            return work(item)

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(shared, item))
                if len(waiting) >= workers + ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_ahead(items: Iterable[T], count: int = 8) -> Generator[T, None, None]:
    """The items, of which up to `count` are made ahead of their use by one other thread.

    Errors, and the closing of the generator, are as for `in_order`. Closing it also closes the
    items, if these are a generator.
    """
    if torch.get_num_threads() < 2:
        yield from items
        return
    iterator = iter(items)
    end: Any = object()
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = deque(pool.submit(next, iterator, end) for _ in range(count))
            try:
                while (item := waiting.popleft().result()) is not end:
                    waiting.append(pool.submit(next, iterator, end))
                    yield item
            finally:
                for future in waiting:
                    future.cancel()
    finally:
        if isinstance(iterator, Generator):  # the other thread has ended
            iterator.close()


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Runs `work()`, which may also be left out, in another thread while the block runs.

    The end of the block waits for the end of the work, and raises its error.
    """
    if torch.get_num_threads() < 2:
        yield
        return

    def alone() -> object:
        with torch_threads(1):
            return work()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(alone)
        yield
        working.result()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Operations that this thread begins are computed with `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
