"""How the process asks the operating system for main memory."""

import ctypes
import sys

# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, and use it for the next large array.

    By default glibc gives an array of more than 32 MB back to the system when it is freed. The
    system then fills every page of the next one with zeros. A U-Net makes hundreds of such arrays,
    and this work takes a third of its time on a CPU. The process keeps its largest size until it
    ends.

    Returns whether it took effect. It does on Linux with glibc; elsewhere nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has no such function
    if mallopt is None:
        return False
    never_trim, no_separate_maps = mallopt(M_TRIM_THRESHOLD, -1), mallopt(M_MMAP_MAX, 0)
    return bool(never_trim and no_separate_maps)
