"""What a training step costs: time, memory, images a second, share of the measured peak.

    python -m benchmarks.training configs/voxceleb256/align.yaml configs/voxceleb256/reenact.yaml
    python -m benchmarks.training configs/voxceleb256/reenact.yaml --tiny      # seconds on a CPU

It needs no data and no weights: the batch is noise, and a missing `init` is replaced by random
weights of the published architecture. Stage align does not normalise codes here: their spread is
measured in data. The peak is the best matrix product of the same run, in the number format of the
step. The arithmetic counted is that of the step as it runs, recomputation included.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from diffae import DiffAE, DiffAEConfig, save_checkpoint
from reenact.config import load_config
from reenact.device import pick_device
from reenact.errors import counted
from reenact.face.params import MEAN_SCALE, FaceParams
from reenact.models.released import PUBLISHED_CONFIG
from reenact.training.loop import train_step
from reenact.training.run_config import TrainRun
from reenact.training.session import on_device, open_session

TINY = DiffAEConfig(
    image_size=32,
    base_channels=32,
    channel_mults=(1, 2),
    encoder_channel_mults=(1, 2),
    attention_resolutions=(16,),
    num_res_blocks=1,
    z_channels=64,
    time_channels=64,
)


HEADER = "stage         px    batch  precision  s/step  images/s  memory GiB  TFLOP/image  of peak"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What a step costs. share_of_peak: of the best matrix product of the same run."""

    stage: str
    size: int
    batch: int
    precision: str
    seconds_per_step: float
    images_per_second: float
    memory_gib: float
    tflop_per_image: float
    share_of_peak: float

    def row(self) -> str:
        return (
            f"{self.stage:12s} {self.size:3d} {self.batch:7d}  {self.precision:9s} "
            f"{self.seconds_per_step:7.3f} {self.images_per_second:9.2f} {self.memory_gib:11.2f} "
            f"{self.tflop_per_image:12.3f} {self.share_of_peak:8.1%}"
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("configs", type=Path, nargs="+", help="YAMLs of training runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one that is not")
    parser.add_argument("--tiny", action="store_true", help="a small model at 32 px")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    device = pick_device(arguments.device)
    print(f"{device}, torch {torch.__version__}, {counted(torch.get_num_threads(), 'thread')}")
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.configs:
            run = load_config(path, TrainRun, arguments.overrides)
            run = with_weights(run, Path(folder), tiny=arguments.tiny)
            print(measure(run, device, arguments.steps).row(), flush=True)


def with_weights(run: TrainRun, folder: Path, *, tiny: bool) -> TrainRun:
    """The run with an `init` that exists."""
    if tiny and run.model is not None:
        return dataclasses.replace(run, model=TINY)
    if run.init is None or (run.init.is_file() and not tiny):
        return run
    path = folder / "diffae.safetensors"
    if not path.is_file():
        torch.manual_seed(0)
        save_checkpoint(DiffAE(TINY if tiny else PUBLISHED_CONFIG), path)
    return dataclasses.replace(run, init=path)


def measure(run: TrainRun, device: torch.device, num_steps: int, *, ddp: bool = False) -> Measured:
    """The cost of a step. With `ddp` the loss is wrapped for several processes, with one of them;
    the process group has to be there.
    """
    run = _without_data(run)
    session = open_session(dataclasses.replace(run, compile=False), device)
    pairs = session.stage.pairs
    noise = noise_batch(
        run.batch_size,
        session.stage.image_size,
        with_photo=pairs is not None and pairs.with_photo,
    )
    batch = on_device(noise, device)
    with FlopCounterMode(display=False) as counter:
        train_step(session, batch, 0)
    flops = counter.get_total_flops()
    if run.compile:
        session = open_session(run, device)
    if ddp:
        loss = DistributedDataParallel(session.loss, gradient_as_bucket_view=True)
        session = dataclasses.replace(session, loss=loss)
    if run.compile or ddp:
        train_step(session, batch, 0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    took = seconds(lambda: train_step(session, batch, 1), device, num_steps)
    return Measured(
        stage=run.stage,
        size=session.stage.image_size,
        batch=run.batch_size,
        precision=str(session.dtype).removeprefix("torch."),
        seconds_per_step=took,
        images_per_second=run.batch_size / took,
        memory_gib=peak_memory(device) / 2**30,
        tflop_per_image=flops / run.batch_size / 1e12,
        share_of_peak=flops / took / peak_flops(session.dtype, device),
    )


def _without_data(run: TrainRun) -> TrainRun:
    """The run without what is measured in data before the first step. A step costs the same."""
    if run.align is None:
        return run
    return dataclasses.replace(run, align=dataclasses.replace(run.align, normalise=False))


def noise_batch(batch_size: int, size: int, *, with_photo: bool = False) -> dict[str, Tensor]:
    """A batch of pairs in the middle of the picture, half of them cross pairs.

    with_photo: with what lies around the sources, for losses of composed pictures. The person is a
        disk.
    """
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(4, batch_size, 3, size, size, generator=generator) * 2 - 1
    face = FaceParams.neutral(batch_size)
    face = dataclasses.replace(
        face, scale=MEAN_SCALE * size * face.scale, translation=face.translation + size / 2
    )
    batch = {
        "image": pictures[0],
        "source": pictures[1],
        "reference": pictures[2],
        "eps": torch.randn(batch_size, 3, size, size, generator=generator),
        "u": torch.rand(batch_size, generator=generator),
        "source_mask": torch.ones(batch_size, 1, size, size),
        "reference_mask": torch.ones(batch_size, 1, size, size),
        "is_cross": torch.arange(batch_size) % 2 == 1,
    }
    for role in ("source", "target"):
        batch |= {f"{role}_{name}": value.clone() for name, value in face.tensors().items()}
    if with_photo:
        photo = torch.rand(batch_size, 3, 2 * size, 2 * size, generator=generator) * 2 - 1
        inside = slice(size // 2, size // 2 + size)
        photo[..., inside, inside] = batch["source"]
        ticks = torch.linspace(-2, 2, 2 * size)
        disk = (torch.hypot(ticks[:, None], ticks) < 1).float()
        batch["photo"] = photo
        batch["photo_alpha"] = disk.expand(batch_size, 1, -1, -1).clone()
        batch["reference_from_source"] = torch.eye(3).expand(batch_size, -1, -1).clone()
    return batch


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU during the timed steps, or of this process so far."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of the best square matrix product."""
    best = 0.0
    for side in (4096, 8192) if device.type == "cuda" else (512, 1024, 2048):
        a = torch.randn(side, side, device=device).to(dtype)

        def product(a: Tensor = a) -> Tensor:
            return a @ a

        product()
        best = max(best, 2 * side**3 / seconds(product, device, 10))
    return best


if __name__ == "__main__":
    main()
