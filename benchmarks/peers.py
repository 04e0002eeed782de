"""One U-Net call here against the official Diffusion Autoencoder, in turns.

    python -m benchmarks.peers PATH/TO/diffae [--template ffhq256_autoenc] [--device cuda]

PATH is your copy of the official code, with what it needs installed; nothing of it ships here. Both
sides get the same random weights and inputs, so the outputs are compared, too. The official network
is asked for as its own scripts ask: `templates.<template>().make_model_conf().make_model()`, then
`network(x=..., t=..., cond=...).pred`.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.filled import filled_weight
from benchmarks.training import seconds
from diffae import DiffAE
from diffae.architecture import infer_config
from diffae.checkpoint import module_name
from reenact.device import autocast, pick_device
from reenact.errors import counted
from reenact.memory import keep_freed_memory


def official_network(folder: Path, template: str) -> nn.Module:
    """The network of a template of the official code in `folder`."""
    sys.path.insert(0, str(folder))
    try:
        templates: Any = importlib.import_module("templates")
    finally:
        sys.path.remove(str(folder))
    network: nn.Module = getattr(templates, template)().make_model_conf().make_model()
    state = {name: filled_weight(name, w.shape) for name, w in network.state_dict().items()}
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def same_network(official: nn.Module, size: int) -> DiffAE:
    """Our autoencoder with the weights of the official one."""
    state = official.state_dict()
    model = DiffAE(infer_config({name: tuple(w.shape) for name, w in state.items()}, size))
    model.load_state_dict({module_name(name): weight.cpu() for name, weight in state.items()})
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="your copy of the official code")
    parser.add_argument("--template", default="ffhq256_autoenc")
    parser.add_argument("--size", type=int, default=256, help="side of its pictures")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    device = pick_device(args.device)
    official = official_network(args.folder, args.template).to(device)
    ours = same_network(official, args.size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(args.batch, 3, args.size, args.size, generator=generator).to(device)
    z_sem = torch.randn(args.batch, ours.config.z_channels, generator=generator).to(device)
    t = torch.full((args.batch,), 500, device=device)

    def theirs() -> Tensor:
        return official(x=x_t, t=t, cond=z_sem).pred

    def here(dtype: torch.dtype) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with autocast(dtype, device):
                return ours.unet(x_t, t, z_sem)

        return work

    works = {
        "official, float32": theirs,
        "here, float32": here(torch.float32),
        "here, bfloat16": here(torch.bfloat16),
    }
    outputs = {name: work().float() for name, work in works.items()}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(args.turns):
        for name, work in works.items():
            best[name] = min(best[name], seconds(work, device, 1))
    base = best["official, float32"]
    threads = counted(torch.get_num_threads(), "thread")
    print(f"{args.template}, batch {args.batch}, {device}, {threads}")
    for name, took in best.items():
        difference = float((outputs[name] - outputs["official, float32"]).abs().max())
        print(f"{name:18s} {took:8.3f} s  {base / took:5.2f}x  largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
