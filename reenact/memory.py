"""How the process asks the operating system for main memory."""

import ctypes
import sys

# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, and use it for the next large array.

    By default glibc gives an array of more than 32 MB back to the system when it is freed. The
    system then fills every page of the next one with zeros. A U-Net makes hundreds of such arrays,
    and this work takes a third of its time on a CPU. The process keeps its largest size until it
    ends.

    By default glibc also gives each thread a heap of its own. What one thread frees, another cannot
    use. All threads share one heap here, which saves a fifth of the memory of a run.

    Call it before other threads start. Returns whether it took effect. It does on Linux with glibc;
    elsewhere nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has no such function
    if mallopt is None:
        return False
    settings = ((M_TRIM_THRESHOLD, -1), (M_MMAP_MAX, 0), (M_ARENA_MAX, 1))
    taken = [mallopt(name, value) for name, value in settings]
    return all(taken)
