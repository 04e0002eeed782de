"""Grow a trained Diffusion Autoencoder into the start of one for pictures of twice the side.

    python -m tools.grow_diffae small.safetensors large.safetensors

The new model works on pixel blocks of twice the side, so only three layers change:

- The encoder's first layer averages the picture to the old size. An enlarged picture therefore
  keeps its code.
- The U-Net's first layer takes every second pixel. Their noise has the strength that the old U-Net
  knows; an average would halve it.
- The U-Net's last layer gives the answer for a pixel to all four pixels that take its place.
"""

import argparse
import dataclasses
from pathlib import Path

from torch import Tensor

from diffae import DiffAE, load_checkpoint, save_checkpoint
from reenact.errors import exit_code


def grown(small: DiffAE) -> DiffAE:
    """The model of twice the side that starts from `small`."""
    config = small.config
    large = DiffAE(
        dataclasses.replace(
            config, image_size=2 * config.image_size, patch_size=2 * config.patch_size
        )
    )
    state = small.state_dict()
    block = config.patch_size
    taken = _spread(state["unet.input_blocks.0.0.weight"], block, dim=1)
    taken.unflatten(1, (3, block, 2, block, 2))[:, :, :, 1] = 0
    taken.unflatten(1, (3, block, 2, block, 2))[:, :, :, :, :, 1] = 0
    state["unet.input_blocks.0.0.weight"] = taken
    seen = _spread(state["encoder.input_blocks.0.0.weight"], block, dim=1)
    state["encoder.input_blocks.0.0.weight"] = seen / 4
    for name in ("unet.out.2.weight", "unet.out.2.bias"):
        state[name] = _spread(state[name], block, dim=0)
    large.load_state_dict(state)
    return large


def _spread(weight: Tensor, block: int, dim: int) -> Tensor:
    """Weights for pixel blocks of twice the side.

    Dimension `dim` holds 3 colours of `block` x `block` pixels. Each is repeated for the 2 x 2
    pixels that take the place of its pixel.
    """
    pixels = weight.unflatten(dim, (3, block, block))
    pixels = pixels.repeat_interleave(2, dim + 1).repeat_interleave(2, dim + 2)
    return pixels.flatten(dim, dim + 2).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    args = parser.parse_args()
    save_checkpoint(grown(load_checkpoint(args.small)), args.large)
    print(args.large)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
