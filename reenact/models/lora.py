"""LoRA: frozen layers with small trained updates of low rank (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from reenact.ranges import Checked, Positive, Range

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
PLACE = ".parametrizations.weight."
"""Torch's name for the place of an update in its layer. In files it is `.lora_`."""


@dataclass(frozen=True, kw_only=True)
class LoraConfig(Checked):
    """Train small updates of low rank instead of the weights themselves.

    rank: rank of each update. The size of the adapter file is proportional to it.
    alpha: strength of the updates. An update is multiplied by alpha / rank.
    """

    rank: Annotated[int, Range(at_least=1, at_most=1024)] = 4
    alpha: Positive = 4.0


class LowRank(nn.Module):
    """The map W -> W + (alpha / rank) B A of one layer's weight (Eq. 3).

    A (`down`) starts random and B (`up`) starts at zero, so at first the layer works as before. The
    kernel of a convolution counts as a matrix with one row for each output channel.
    """

    def __init__(self, weight: Tensor, config: LoraConfig, generator: torch.Generator) -> None:
        super().__init__()
        num_outputs, num_inputs = len(weight), weight[0].numel()
        rank = min(config.rank, num_outputs, num_inputs)
        self.scale = config.alpha / config.rank
        down = torch.randn(rank, num_inputs, generator=generator) / math.sqrt(num_inputs)
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(num_outputs, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return updated(weight, self.up, self.down, self.scale)


def updated(weight: Tensor, up: Tensor, down: Tensor, scale: float) -> Tensor:
    """The weight of a layer plus its update: up (outputs, rank) times down (rank, inputs)."""
    return weight + scale * (up @ down).reshape(weight.shape)


def add_lora(
    network: nn.Module, config: LoraConfig, *, seed: int, in_full: Collection[str] = ()
) -> None:
    """Freeze a network and give each linear layer and convolution a trained update, in place.

    in_full: names of parts that are trained in full, because the base file has nothing for them.
    """
    network.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, layer in list(network.named_modules()):
        if name.split(".")[0] in in_full:
            layer.requires_grad_(True)
        elif isinstance(layer, LAYERS):
            update = LowRank(layer.weight, config, generator)
            parametrize.register_parametrization(layer, "weight", update)


@torch.no_grad()
def merged_state(network: nn.Module) -> dict[str, Tensor]:
    """The state dict of the plain network, on the CPU: the updates are part of the weights."""
    state = {n: tensor.cpu() for n, tensor in network.state_dict().items() if PLACE not in n}
    for name, layer in network.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            weights = cast(parametrize.ParametrizationList, layer.parametrizations["weight"])
            update = cast(LowRank, weights[0])
            up, down = update.up.cpu(), update.down.cpu()
            original = weights.original.cpu()
            state[f"{name}.weight"] = updated(original, up, down, update.scale)
    return state


def adapter_tensors(trained: nn.Module, values: nn.Module) -> dict[str, Tensor]:
    """What training changes, by its name in files.

    trained: the network whose weights require gradients. values: it, or its average.
    """
    state = values.state_dict()
    names = [name for name, weight in trained.named_parameters() if weight.requires_grad]
    return {name.replace(f"{PLACE}0.", ".lora_"): state[name].detach().cpu() for name in names}
