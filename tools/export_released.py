"""Turn reenactor weights of ours into a file that the authors' inference code loads.

    python -m tools.export_released runs/reenact256/reenactor.safetensors diffusionact_model.pt

The authors' code builds one architecture only: DiffAE's ffhq256_autoenc without a motion head. It
draws the stickman of the released face stack for E_r, so train with that face stack.
"""

import argparse
import dataclasses
from pathlib import Path

from reenact.errors import UserError, exit_code
from reenact.models.checkpoint import load_reenactor
from reenact.models.released import PUBLISHED_CONFIG, export_released


def export(source: Path, out: Path) -> None:
    """Write the file. Raises UserError for weights of another architecture."""
    weights = load_reenactor(source)
    own = dataclasses.replace(weights.diffae.config, dropout=PUBLISHED_CONFIG.dropout)
    differing = [
        f"{field.name} {getattr(own, field.name)} instead of {wanted}"
        for field in dataclasses.fields(own)
        if getattr(own, field.name) != (wanted := getattr(PUBLISHED_CONFIG, field.name))
    ]
    if differing:
        raise UserError(
            f"{source}: not the published architecture ({', '.join(differing)}), start the "
            "training from DiffAE's ffhq256_autoenc"
        )
    export_released(weights, out)
    print(f"{out}: {out.stat().st_size / 1e9:.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="a reenactor .safetensors")
    parser.add_argument("out", type=Path, help="the file to write, e.g. diffusionact_model.pt")
    args = parser.parse_args()
    export(args.weights, args.out)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
