"""How long the demo takes while other programs keep the processor busy.

    python -m benchmarks.busy                          # beside six busy loops
    python -m benchmarks.busy --loops 6 --active       # with threads that wait by counting, too

The fair share of the processor is what the machine's cores leave for the demo's two threads beside
so many loops. A run that takes far longer than that wastes its share: its threads wait for each
other.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOOP = "while True: pass"


def demo(folder: Path, policy: str | None) -> float:
    """Seconds that the demo takes. policy: how threads wait; None leaves it to the command."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if policy:
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, "-m", "reenact", "infer", "--output", str(folder / "demo.mp4")]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loops", type=int, default=6)
    parser.add_argument("--active", action="store_true")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo(folder, None)  # compiles
        free = demo(folder, None)
        print(f"alone: {free:.1f} s")
        loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(arguments.loops)]
        try:
            for policy in (None, "ACTIVE") if arguments.active else (None,):
                took = demo(folder, policy)
                fair = max(1.0, (min(cores, 2) + len(loops)) / cores)
                print(
                    f"beside {len(loops)} busy loops{', ACTIVE' if policy else ''}: {took:.1f} s, "
                    f"{took / free:.1f} times as long; a fair share would be {fair:.1f} times"
                )
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()


if __name__ == "__main__":
    main()
