"""Turn the export of stage reenact into the shipped weights.

    python -m tools.pack_embedded runs/embedded_reenact/reenactor.safetensors --x_T moved

The weights become float16, and the DiffAE goes into a file of its own.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from reenact.assets import ASSETS_DIR, EMBEDDED_WEIGHTS
from reenact.errors import exit_code
from reenact.inference.start import STARTS
from reenact.models.checkpoint import load_reenactor, save_reenactor
from reenact.models.weights import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export", type=Path)
    parser.add_argument("--out", type=Path, default=ASSETS_DIR / EMBEDDED_WEIGHTS)
    text = "the start of rendering, if another one than that of training gives better pictures"
    parser.add_argument("--x_T", choices=tuple(STARTS), help=text)
    args = parser.parse_args()
    weights = load_reenactor(args.export)
    recipe = weights.recipe
    if args.x_T is not None:
        recipe = replace(recipe or Recipe(), x_T=args.x_T)
    metadata = {name: weights.metadata[name] for name in ("stage", "step")}
    save_reenactor(
        args.out,
        weights.diffae,
        weights.encoder,
        weights.unet,
        metadata,
        dtype=torch.float16,
        diffae_file="embedded_diffae.safetensors",
        recipe=recipe,
    )


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
