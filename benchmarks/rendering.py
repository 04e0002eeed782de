"""How fast a U-Net renders: number formats, samplers, batches and torch.compile against each other.

    python -m benchmarks.rendering                                  # the shipped model
    python -m benchmarks.rendering --weights weights/diffusionact_model.pt --device cuda --compile
    python -m benchmarks.rendering --published --steps 2 --batch 2   # untrained

Prints ratios of one run; the difference between the pictures stands beside the speed (it means
nothing for untrained weights).
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffae import DiffAE
from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.device import autocast, pick_device
from reenact.errors import counted
from reenact.models.checkpoint import load_reenactor
from reenact.models.released import PUBLISHED_CONFIG


def seconds(work: Callable[[], Tensor], device: torch.device, repeats: int) -> tuple[float, Tensor]:
    """Best of some runs, and the result; a first run warms up."""
    result = work()
    times = []
    for _ in range(repeats):
        _finish(device)
        start = time.perf_counter()
        result = work()
        _finish(device)
        times.append(time.perf_counter() - start)
    return min(times), result


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=asset_path(EMBEDDED_WEIGHTS))
    parser.add_argument("--published", action="store_true", help="the published size, untrained")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    args = parser.parse_args()
    device = pick_device(args.device)
    model, unet = _networks(args.weights, args.published, device)
    size = model.config.image_size
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(args.batch, 3, size, size, generator=generator).to(device)
    z_sem = torch.randn(args.batch, model.config.z_channels, generator=generator).to(device)

    def render(
        count: int, steps: int, sampler: Any, dtype: torch.dtype, net: nn.Module
    ) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with autocast(dtype, device):
                return model.decode(x_T[:count], z_sem[:count], steps, sampler, unet=net)

        return work

    full = args.steps
    half = max(full // 2, 2)
    rows: list[tuple[str, int, int, str, torch.dtype, nn.Module]] = [
        ("", args.batch, full, "ddim", torch.float32, unet),
        ("", args.batch, full, "ddim", torch.bfloat16, unet),
        ("one at a time", 1, full, "ddim", torch.bfloat16, unet),
        ("", args.batch, half, "ddim", torch.bfloat16, unet),
        ("", args.batch, half, "dpmpp2m", torch.bfloat16, unet),
    ]
    if device.type == "cuda":
        rows.insert(2, ("", args.batch, full, "ddim", torch.float16, unet))
    if args.compile:
        rows.append(("compiled", args.batch, full, "ddim", torch.bfloat16, torch.compile(unet)))  # type: ignore[arg-type]
    weights = sum(p.numel() for p in unet.parameters()) / 1e6
    print(
        f"{size} px, U-Net of {weights:.1f} M weights, {device}, "
        f"{counted(torch.get_num_threads(), 'thread')}"
    )
    print("sampler  steps  batch  precision   s/frame  speed-up  l1 to the first row")
    base, first = 0.0, torch.empty(0)
    for note, count, steps, sampler, dtype, net in rows:
        took, images = seconds(render(count, steps, sampler, dtype, net), device, args.repeats)
        if not base:
            base, first = took / count, images
        error = float((images - first[:count]).abs().mean()) / 2
        name = str(dtype).removeprefix("torch.")
        print(
            f"{sampler:8s} {steps:5d}  {count:5d}  {name:9s}  {took / count:8.4f}"
            f"  {base * count / took:7.2f}x  {error:.4f}  {note}"
        )


def _networks(weights: Path, published: bool, device: torch.device) -> tuple[DiffAE, nn.Module]:
    """The autoencoder and the U-Net that renders."""
    if published:
        model = DiffAE(PUBLISHED_CONFIG).to(device)
        unet: nn.Module = model.unet
    else:
        loaded = load_reenactor(weights, device)
        model, unet = loaded.diffae, loaded.unet or loaded.diffae.unet
    last = torch.channels_last
    return model.eval().to(memory_format=last), unet.eval().to(memory_format=last)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
