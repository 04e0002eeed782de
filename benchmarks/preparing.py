"""How many frames a second `python -m reenact prepare` tracks, and where its time goes.

    python -m benchmarks.preparing [--device cuda] [--clips 4] [--frames 48]
    python -m benchmarks.preparing --processes 2       # together, as num_workers: 2 does

Renders clips of synthetic heads as mp4 of the size of the crops and prepares them in one process.
Beside the time on the clock stands the processor's own (user and system, all threads), which other
work on the machine changes less; on a GPU only the clock counts.
"""

import argparse
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from time import process_time

import torch

from reenact.data.prepare.layouts import ClipSource, SourceConfig, find_sources
from reenact.data.prepare.run_config import ClipConfig, PrepareRun
from reenact.data.prepare.tracking import ClipTracker, Stopwatch
from reenact.data.synthetic.raw import render_clip, write_video
from reenact.data.synthetic.renderer import Renderer
from reenact.device import pick_device
from reenact.errors import counted


class BothClocks(Stopwatch):
    """Times every stage on the clock and on the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.processor = Stopwatch(clock=process_time)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        with super().timed(stage), self.processor.timed(stage):
            yield


def measured(tracker: ClipTracker, source: ClipSource, repeats: int) -> tuple[Stopwatch, Stopwatch]:
    """The best of some runs, on the clock and on the processor."""
    runs = []
    for _ in range(repeats):
        stages = tracker.stopwatch = BothClocks()
        tracker.prepare(source)
        runs.append((stages, stages.processor))

    def fastest(column: int) -> Stopwatch:
        return min((run[column] for run in runs), key=lambda s: sum(s.seconds.values()))

    return fastest(0), fastest(1)


def best_of_clips(
    arguments: argparse.Namespace, ready: Barrier
) -> list[tuple[Stopwatch, Stopwatch]]:
    """`measured` for every clip, without the start of the networks."""
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        renderer = Renderer()
        for index in range(arguments.clips + 1):
            path = root / "train" / f"person{index}#clip.mp4"
            write_video(path, render_clip(renderer, index, arguments.frames, arguments.size)[0])
        run = PrepareRun(
            out=root, source=SourceConfig(root=root), size=arguments.size, clip=ClipConfig()
        )
        tracker = ClipTracker(run, pick_device(arguments.device))
        first, *rest = find_sources(run.source)
        tracker.prepare(first)  # the first clip also pays for the networks' start
        ready.wait()
        return [measured(tracker, source, arguments.repeats) for source in rest]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, default=4, help="of each process")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many runs counts")
    arguments = parser.parse_args()
    count = arguments.processes
    with get_context("spawn").Manager() as manager:
        ready = manager.Barrier(count)
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            runs = [pool.submit(best_of_clips, arguments, ready) for _ in range(count)]
            best = [clip for run in runs for clip in run.result()]
    frames = count * arguments.clips * arguments.frames
    print(
        f"{frames} frames of {arguments.size} px, {arguments.device}, "
        f"{counted(count, 'process', 'processes')} of {counted(arguments.threads, 'thread')}"
    )
    for name, column in (("clock", 0), ("processor", 1)):
        stages = {
            stage: sum(b[column].seconds[stage] for b in best) for stage in best[0][0].seconds
        }
        total = sum(stages.values())
        speed = frames / total * (count if name == "clock" else 1)
        print(f"{name}: {speed:.1f} frames/s, {1e3 * total / frames:.2f} ms a frame of one process")
        for stage, seconds in stages.items():
            print(f"  {stage:7s} {1e3 * seconds / frames:7.2f} ms {100 * seconds / total:5.1f} %")


if __name__ == "__main__":
    main()
