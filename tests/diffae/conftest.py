from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from diffae import DiffAE, DiffAEConfig, load_checkpoint

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "diffae"


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def tiny_io() -> dict[str, Tensor]:
    """Inputs and outputs of the official tiny model."""
    return load_file(GOLDEN / "tiny_io.safetensors")


@pytest.fixture(scope="session")
def tiny_ema() -> DiffAE:
    """The official tiny model's averaged weights; do not change them."""
    return load_checkpoint(GOLDEN / "tiny_ema.safetensors").requires_grad_(False)


def _small_config(**changes: object) -> DiffAEConfig:
    values: dict[str, object] = {
        "image_size": 16,
        "base_channels": 32,
        "channel_mults": (1, 2),
        "encoder_channel_mults": (1, 2, 2),
        "attention_resolutions": (8,),
        "num_res_blocks": 1,
        "z_channels": 12,
        "time_channels": 20,
    }
    return DiffAEConfig(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def small_config():
    """Function: a config of a small model, with changes."""
    return _small_config


@pytest.fixture
def make_small():
    """Function: a small model in eval mode whose zero-initialised layers were filled, too."""

    def make(**changes: object) -> DiffAE:
        ae = DiffAE(_small_config(**changes)).eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for name, parameter in ae.named_parameters():
                if parameter.abs().max() == 0 and "z_grid" not in name:
                    parameter.normal_(0, 0.05, generator=generator)
        return ae

    return make
