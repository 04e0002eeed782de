"""Freed memory stays in the process, so that the next large array costs no page faults."""

import subprocess
import sys

import pytest

CODE = """
import resource
import threading
import numpy as np
from reenact.memory import keep_freed_memory

if {kept}:
    assert keep_freed_memory()
def array():
    np.ones(8_000_000)


def array_of_a_thread():
    thread = threading.Thread(target=array)
    thread.start()
    thread.join()


for make in {arrays}:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    make()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ARRAY_KB = 8 * 8_000_000 // 1024


def page_faults(arrays: str = "(array, array, array)", *, kept: bool) -> int:
    """Page faults of the last of some arrays of 64 MB that are made and freed one by one."""
    code = [sys.executable, "-c", CODE.format(kept=kept, arrays=arrays)]
    return int(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


glibc_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own function")


@glibc_only
def test_a_large_array_is_not_mapped_again():
    assert page_faults(kept=True) < 100
    # Pages have at most 2 MB; without the function the whole array is mapped again.
    assert page_faults(kept=False) > ARRAY_KB / 2048


@glibc_only
def test_what_one_thread_frees_another_uses():
    assert page_faults("(array_of_a_thread, array)", kept=True) < 100
    assert page_faults("(array, array_of_a_thread)", kept=True) < 100
