"""How fast the shipped model renders: bfloat16 against float32, and samplers against each other.

    python benchmarks/rendering.py

Prints ratios of one run; the difference between the pictures stands beside the speed.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.models.checkpoint import load_reenactor

BATCH = 8
REPEATS = 3


def seconds(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Best of some runs, and the result."""
    result = work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


@torch.inference_mode()
def main() -> None:
    weights = load_reenactor(asset_path(EMBEDDED_WEIGHTS))
    model = weights.diffae.eval().to(memory_format=torch.channels_last)
    size, z_channels = model.config.image_size, model.config.z_channels
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(BATCH, 3, size, size, generator=generator)
    z_sem = model.encode_semantic(torch.rand(BATCH, 3, size, size, generator=generator) * 2 - 1)
    assert z_sem.shape == (BATCH, z_channels)

    def render(num_steps: int, sampler: str, bf16: bool) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                return model.decode(x_T, z_sem, num_steps=num_steps, sampler=sampler)  # type: ignore[arg-type]

        return work

    base_time, base = seconds(render(20, "ddim", False))
    _, limit = seconds(render(100, "ddim", False))
    print(f"{size} px, batch {BATCH}, {torch.get_num_threads()} threads")
    print("sampler  steps  precision  speed-up  l1 to 100 float32 DDIM steps")
    print(f"ddim        20  float32       1.00x  {float((base - limit).abs().mean()) / 2:.4f}")
    for sampler, steps, bf16 in (
        ("ddim", 20, True),
        ("ddim", 10, True),
        ("dpmpp2m", 10, True),
        ("dpmpp2m", 5, True),
    ):
        took, images = seconds(render(steps, sampler, bf16))
        error = float((images - limit).abs().mean()) / 2
        name = "bfloat16" if bf16 else "float32 "
        print(f"{sampler:8s} {steps:5d}  {name}   {base_time / took:7.2f}x  {error:.4f}")


if __name__ == "__main__":
    main()
