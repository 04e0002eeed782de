"""ResNet-50, the trunk of the EMOCA encoders and the gaze network, and loading of weights."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from diffae import CheckpointError
from diffae.checkpoint import describe_difference
from reenact.errors import UserError

NUM_FEATURES = 2048


def resnet50_trunk() -> nn.Module:
    """torchvision's ResNet-50 without its last layer: (B, 3, H, W) -> (B, 2048).

    Raises UserError when torchvision cannot be imported.
    """
    try:
        from torchvision.models import resnet50
    except (ImportError, OSError, RuntimeError) as error:  # a build for another torch
        raise UserError(
            f"the released face stack needs torchvision ({' '.join(str(error).split())}), "
            "pip install torchvision"
        ) from error
    trunk = resnet50(weights=None)
    trunk.fc = nn.Identity()
    return trunk


def load_by_name(
    module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path, prefix: str = ""
) -> None:
    """Copy the tensors into `module`, which may be on the meta device. Names and shapes must match.

    Args:
        module: the network.
        tensors: under the names of its state dict.
        where: file and network, for the error line.
        prefix: the beginning of the names in the file, for the error line.

    Raises:
        CheckpointError: missing, unexpected and mis-shaped tensors, named in one line.
    """
    expected = module.state_dict()
    if difference := describe_difference(
        {prefix + name: tuple(t.shape) for name, t in expected.items()},
        {prefix + name: tuple(t.shape) for name, t in tensors.items()},
    ):
        raise CheckpointError(f"{where}: {difference}")
    own = {
        name: torch.empty_like(expected[name], device="cpu").copy_(tensor)
        for name, tensor in tensors.items()
    }
    module.load_state_dict(own, assign=True)
