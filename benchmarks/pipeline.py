"""How fast a photo is animated from file to file, and where the time goes.

    python -m benchmarks.pipeline                                # the demo, face crop of 256 px
    python -m benchmarks.pipeline --size 512 --threads 4
    python -m benchmarks.pipeline --source photo.jpg --target clip.mp4 --compose photo
    python -m benchmarks.pipeline --frames 3000 --whole-only     # peak memory of a long clip

First every part runs alone with one thread. Its time is that of the processor, which other work on
the machine changes less than the clock. Then the whole way runs with all threads, on both clocks.
The processor's time of one frame over the number of cores is the least time that a frame can take.
To compare two revisions, run each of them in turn on the same machine.
"""

import argparse
import itertools
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from reenact.assets import asset_path
from reenact.errors import counted
from reenact.inference.crop_reenactor import CropReenactor
from reenact.inference.drawings import Drawings
from reenact.inference.moved_layers import MovedLayers
from reenact.inference.pipeline import write_result
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.animation import open_clip
from reenact.media.clip import MediaClip
from reenact.media.images import read_frame
from reenact.memory import keep_freed_memory
from reenact.threads import meanwhile, torch_threads

PARTS: dict[str, tuple[type, str]] = {
    "field": (Drawings, "moved_layers"),
    "networks": (CropReenactor, "_drawn"),
    "composition": (MovedLayers, "composed"),
}
"""Parts of the rendering, and the methods whose time is theirs."""


class Clip:
    """The frames of a clip, over and over, up to a number. No frame is kept."""

    def __init__(self, clip: MediaClip, count: int) -> None:
        self.clip, self.count = clip, count

    def __iter__(self) -> Iterator[np.ndarray]:
        again = itertools.chain.from_iterable(iter(self.clip) for _ in itertools.count())
        return itertools.islice(again, self.count)


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """Adds the processor's time of PARTS to `seconds`."""

    def wrapped(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            start = process_time()
            result = method(*args, **options)
            seconds[name] = seconds.get(name, 0) + process_time() - start
            return result

        return call

    methods = {name: getattr(*place) for name, place in PARTS.items()}
    for name, (owner, attribute) in PARTS.items():
        setattr(owner, attribute, wrapped(name, methods[name]))
    try:
        yield
    finally:
        for name, (owner, attribute) in PARTS.items():
            setattr(owner, attribute, methods[name])


def parts_alone(reenactor: Reenactor, source: Path, clip: MediaClip, run: InferRun) -> None:
    """Prints the processor's time of every part, with one thread."""
    seconds: dict[str, float] = {}

    def measure(name: str, work: Callable[[], Any]) -> Any:
        start = process_time()
        result = work()
        seconds[name] = process_time() - start
        return result

    with torch_threads(1):
        face = reenactor.find(read_frame(source))
        frames = measure("decoding", lambda: list(clip))
        motion = measure("tracking", lambda: reenactor.track(frames, float(clip.fps)))
        list(reenactor.frames(face, motion[range(9)], run))  # compiles, and starts the networks
        with timed(seconds):
            results = measure("rendering", lambda: list(reenactor.frames(face, motion, run)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result.mp4"
            measure("writing", lambda: write_result(path, iter(results), motion, clip, run))
    within = sum(seconds.get(name, 0) for name in PARTS)
    seconds["rest of rendering"] = seconds.pop("rendering") - within
    total = sum(seconds.values())
    print(f"parts with one thread, {len(frames)} frames, ms of the processor for each:")
    for name in ("decoding", "tracking", *PARTS, "rest of rendering", "writing"):
        own = seconds.get(name, 0.0)
        print(f"  {name:18s} {1e3 * own / len(frames):7.2f}  {100 * own / total:5.1f} %")
    print(f"  {'sum':18s} {1e3 * total / len(frames):7.2f}")


def whole(reenactor: Reenactor, source: Path, clip: MediaClip, count: int, run: InferRun) -> None:
    """Prints the speed and the peak memory of the way from file to file."""
    target: Any = clip if count == clip.num_frames else Clip(clip, count)
    clock, processor = perf_counter(), process_time()
    face = reenactor.find(read_frame(source))
    found = perf_counter()
    with meanwhile(lambda: reenactor.prepare(face, run, is_picture=False)):
        motion = reenactor.track(target, None if target is clip else float(clip.fps))
    tracked = perf_counter() - found
    with tempfile.TemporaryDirectory() as folder:
        frames = reenactor.frames(face, motion, run)
        write_result(Path(folder) / "result.mp4", frames, motion, clip, run)
    clock, processor = perf_counter() - clock, process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"whole, {counted(torch.get_num_threads(), 'thread')}, {count} frames: "
        f"{count / clock:.1f} frames/s "
        f"on the clock (tracking {1e3 * tracked / count:.1f} ms), "
        f"{1e3 * processor / count:.1f} ms of the processor a frame, peak memory {peak:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=asset_path("demo_source.png"))
    parser.add_argument("--target", type=Path, default=asset_path("demo_target.mp4"))
    parser.add_argument("--compose", default="crop")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, help="of the whole way; the target is repeated")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--whole-only", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the commands do
    run = InferRun(compose=arguments.compose, output_size=arguments.size)
    reenactor = Reenactor.load(device=arguments.device)
    clip = open_clip(arguments.target)
    if not arguments.whole_only:
        parts_alone(reenactor, arguments.source, clip, run)
    with torch_threads(arguments.threads):
        whole(reenactor, arguments.source, clip, arguments.frames or clip.num_frames, run)


if __name__ == "__main__":
    main()
