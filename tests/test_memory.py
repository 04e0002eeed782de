"""Freed memory stays in the process, so that the next large array costs no page faults."""

import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from reenact.memory import keep_freed_memory

if {kept}:
    assert keep_freed_memory()
for turn in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = np.ones(8_000_000)
    del array
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ARRAY_KB = 8 * 8_000_000 // 1024


def page_faults(*, kept: bool) -> int:
    """Page faults of the third of three arrays of 64 MB."""
    code = [sys.executable, "-c", CODE.format(kept=kept)]
    return int(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own function")
def test_a_large_array_is_not_mapped_again():
    assert page_faults(kept=True) < 100
    # Pages have at most 2 MB; without the function the whole array is mapped again.
    assert page_faults(kept=False) > ARRAY_KB / 2048
