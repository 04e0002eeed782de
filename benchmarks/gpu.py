"""Everything to measure on a GPU, in one run of a few minutes; see gpu.sh.

    python -m benchmarks.gpu --out gpu.json                       # on a GPU
    python -m benchmarks.gpu --out gpu.json --tiny --device cpu   # does the script work?

Needs no data and no downloaded weights. A part that fails is noted, and the next one runs. No part
starts after --max-seconds.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.distributed as dist
from PIL import Image

from benchmarks.filled import published_model
from benchmarks.training import TINY, measure, peak_flops, seconds, with_weights
from diffae import DiffAE
from reenact.assets import asset_path
from reenact.config import load_config
from reenact.device import autocast, compute_dtype, pick_device
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.memory import keep_freed_memory
from reenact.models.released import PUBLISHED_CONFIG
from reenact.training.run_config import TrainRun

UNET_TFLOP = 0.554
"""One call of the published U-Net for one picture (torch's flop counter)."""
GOALS = {
    "published 256 px, 20 steps": "28 ms a frame in batches",
    "embedded": "200 frames/s",
    "training": "40 % of the peak",
}
"""For an H100 in bfloat16. They are goals; no GPU has measured them so far."""

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    device: torch.device
    tiny: bool

    @property
    def dtype(self) -> torch.dtype:
        return compute_dtype("auto", self.device)

    @property
    def steps(self) -> int:
        return 2 if self.tiny else 20


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true", help="small networks, seconds on a CPU")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--max-seconds", type=float, default=420.0)
    args = parser.parse_args()
    setting = Setting(device=pick_device(args.device), tiny=args.tiny)
    start = time.monotonic()
    report: Result = {"machine": machine(setting.device), "goals_h100": GOALS, "parts": {}}
    print(json.dumps(report["machine"]))
    for name in args.only:
        if time.monotonic() - start > args.max_seconds:
            rows: list[Result] = [{"left_out": f"{args.max_seconds:.0f} s are over"}]
        else:
            begun = time.monotonic()
            rows = attempted(PARTS[name], setting)
            rows.append({"seconds_for_this_part": round(time.monotonic() - begun, 1)})
        report["parts"][name] = rows
        print(f"\n{name}")
        for row in rows:
            print("  " + ", ".join(f"{key} {shown(value)}" for key, value in row.items()))
        sys.stdout.flush()
        args.out.write_text(json.dumps(report, indent=2) + "\n")


def attempted(part: Callable[[Setting], list[Result]], setting: Setting) -> list[Result]:
    """The rows of a part, or its error."""
    try:
        return part(setting)
    except Exception as error:  # the other parts are still worth the machine's time
        traceback.print_exc()
        return [{"error": f"{type(error).__name__}: {error}"[:500]}]


def shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def machine(device: torch.device) -> Result:
    found: Result = {"torch": torch.__version__, "python": sys.version.split()[0]}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"gpu": properties.name, "memory_gib": properties.total_memory / 2**30}
    return found | {"device": str(device), "threads": torch.get_num_threads()}


def peak(setting: Setting) -> list[Result]:
    """The best matrix product in each number format."""
    formats = {torch.float32, setting.dtype}
    return [
        {"dtype": str(dtype), "tflops": peak_flops(dtype, setting.device) / 1e12}
        for dtype in sorted(formats, key=str)
    ]


def correctness(setting: Setting) -> list[Result]:
    """The same numbers as on the CPU, in float32: a U-Net with its samplers, a whole picture."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    model = DiffAE(TINY).eval()
    image = torch.rand(2, 3, TINY.image_size, TINY.image_size) * 2 - 1
    results = []
    for device in (torch.device("cpu"), setting.device):
        moved, picture = model.to(device), image.to(device)
        with torch.no_grad():
            z_sem = moved.encode_semantic(picture)
            x_T = moved.encode_stochastic(picture, z_sem, 4)
            results.append(moved.decode(x_T, z_sem, 4).cpu())
    rows: list[Result] = [
        {"what": "DiffAE, 4 + 4 steps", "difference": float((results[0] - results[1]).abs().max())}
    ]
    config = ReenactorConfig(precision="fp32")
    photo, frames = demo(1)
    levels = []
    for name in ("cpu", str(setting.device)):
        (frame,) = Reenactor.load(device=name, config=config).animate(photo, frames)
        levels.append(frame.astype(int))
    difference = np.abs(levels[0] - levels[1])
    rows.append(
        {
            "what": "photo",
            "levels_mean": float(difference.mean()),
            "levels_max": int(difference.max()),
        }
    )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return rows


def published(setting: Setting) -> list[Result]:
    """The published U-Net: a frame in 20 steps, one at a time and in batches, also compiled."""
    model = DiffAE(TINY).eval() if setting.tiny else published_model()
    model = model.to(setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiled = torch.compile(model.unet, mode="reduce-overhead")
    top = peak_flops(setting.dtype, setting.device)
    cases = [("eager", 1, model.unet), ("eager", 8, model.unet), ("eager", 16, model.unet)]
    if not setting.tiny:
        cases += [("compiled", 1, compiled), ("compiled", 16, compiled)]
    rows: list[Result] = []
    size, steps = model.config.image_size, setting.steps
    for how, batch, unet in cases:
        x_T = torch.randn(batch, 3, size, size, device=setting.device)
        z_sem = torch.randn(batch, model.config.z_channels, device=setting.device)

        def render(x_T=x_T, z_sem=z_sem, unet=unet) -> object:  # type: ignore[no-untyped-def]
            with torch.no_grad(), autocast(setting.dtype, setting.device):
                return model.decode(x_T, z_sem, steps, unet=unet)

        begun = time.monotonic()
        render()
        warm = time.monotonic() - begun
        took = seconds(render, setting.device, 1 if setting.tiny else 3) / batch
        row: Result = {"how": how, "batch": batch, "ms_per_frame": 1e3 * took, "first_s": warm}
        if not setting.tiny:
            row["share_of_peak"] = UNET_TFLOP * 1e12 * steps / took / top
        rows.append(row)
    return rows


def embedded(setting: Setting) -> list[Result]:
    """The shipped networks, from frames to frames: tracking, and rendering at several sizes."""
    reenactor = Reenactor.load(
        device=str(setting.device), config=ReenactorConfig(batch_size=4 if setting.tiny else 32)
    )
    photo, frames = demo(4 if setting.tiny else 75)
    repeated = frames * (1 if setting.tiny else 4)
    source = reenactor.find(photo)
    begun = time.monotonic()
    motion = reenactor.track(repeated)
    took = time.monotonic() - begun
    rows: list[Result] = [{"what": "tracking", "frames_per_second": len(repeated) / took}]
    for compose, size in (("crop", 128), ("crop", 256), ("crop", 512), ("photo", 256)):

        def render(compose: str = compose, size: int = size) -> int:
            made = reenactor.animate(source, motion, compose=compose, output_size=size)
            return sum(1 for _ in made)

        if not setting.tiny:
            render()
        begun = time.monotonic()
        count = render()
        rate = count / (time.monotonic() - begun)
        rows.append({"what": f"rendering, {compose}", "size": size, "frames_per_second": rate})
    return rows


def training(setting: Setting) -> list[Result]:
    """A training step of each stage at 256 px, the last two also in DDP of one, and compiled."""
    with tempfile.TemporaryDirectory() as folder:
        return [training_case(setting, Path(folder), *case) for case in TRAINING]


TRAINING = (
    ("autoencoder", "configs/embedded/autoencoder.yaml", False, False),
    ("align", "configs/voxceleb256/align.yaml", False, False),
    ("align", "configs/voxceleb256/align.yaml", True, False),
    ("align", "configs/voxceleb256/align.yaml", False, True),
    ("reenact", "configs/voxceleb256/reenact.yaml", False, False),
    ("reenact", "configs/voxceleb256/reenact.yaml", True, False),
)
"""Name, config, whether with DistributedDataParallel, whether compiled."""


def training_case(
    setting: Setting, folder: Path, name: str, config: str, ddp: bool, compiled: bool
) -> Result:
    case: Result = {"stage": name, "ddp": ddp, "compiled": compiled}
    try:
        run = load_config(Path(config), TrainRun, [])
        run = with_weights(run, folder, tiny=setting.tiny)
        changes: Result = {"compile": compiled and not setting.tiny}
        if setting.tiny:
            changes["batch_size"] = 2
        elif name == "autoencoder":
            changes |= {"model": PUBLISHED_CONFIG, "batch_size": 16}
        run = dataclasses.replace(run, **changes)
        if ddp and not dist.is_initialized():
            dist.init_process_group(
                "nccl" if setting.device.type == "cuda" else "gloo",
                init_method=f"file://{folder}/group",
                rank=0,
                world_size=1,
            )
        measured = measure(run, setting.device, 1 if setting.tiny else 5, ddp=ddp)
        return case | dataclasses.asdict(measured)
    except Exception as error:  # out of memory, for example: the next case may fit
        traceback.print_exc()
        return case | {"error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()


def preparing(setting: Setting) -> list[Result]:
    """Tracked frames a second of `diffusionact prepare`."""
    size = ["--frames=8", "--size=128"] if setting.tiny else ["--frames=96", "--size=256"]
    options = [f"--device={setting.device}", "--clips=1", "--repeats=1", *size]
    command = [sys.executable, "-m", "benchmarks.preparing", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [{"line": line} for line in done.stdout.splitlines()]


def demo(count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The demo's photo and the first frames of its video."""
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return np.asarray(Image.open(asset_path("demo_source.png")).convert("RGB")), frames[:count]


PARTS: dict[str, Callable[[Setting], list[Result]]] = {
    "peak": peak,
    "correctness": correctness,
    "published": published,
    "embedded": embedded,
    "training": training,
    "preparing": preparing,
}

if __name__ == "__main__":
    main()
