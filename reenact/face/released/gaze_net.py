"""The gaze network of ETH-XGaze (Zhang et al., ECCV 2020): a ResNet-50 with two outputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from diffae import CheckpointError
from diffae.unpickle import read_torch
from reenact.face.released.resnet import NUM_FEATURES, load_by_name, resnet50_trunk

UNUSED = ("gaze_network.fc.weight", "gaze_network.fc.bias")
"""The ImageNet classifier of the trunk. The file still holds it."""


class GazeNet(nn.Module):
    """Estimates the common gaze of both eyes from one picture of the face."""

    def __init__(self) -> None:
        super().__init__()
        self.gaze_network = resnet50_trunk()
        self.gaze_fc = nn.Sequential(nn.Linear(NUM_FEATURES, 2))

    def forward(self, crops: Tensor) -> Tensor:
        """ImageNet-normalised crops (B, 3, 224, 224) -> (B, 2) pitch and yaw in radians."""
        return self.gaze_fc(self.gaze_network(crops))

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], where: str | Path = "gaze network"
    ) -> Self:
        """From the file's `model_state`, in evaluation mode without gradients.

        Raises CheckpointError for missing, unexpected or mis-shaped tensors. The line begins with
        `where`.
        """
        with torch.device("meta"):
            net = cls()
        used = {name: tensor for name, tensor in tensors.items() if name not in UNUSED}
        load_by_name(net, used, where)
        return net.eval().requires_grad_(False)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """From `gaze_estimation_model.tar`. Raises CheckpointError."""
        content = read_torch(path)
        state = content.get("model_state") if isinstance(content, dict) else None
        if not isinstance(state, dict):
            raise CheckpointError(f"{path}: not the gaze network, it holds no `model_state`")
        tensors = {str(name): t for name, t in state.items() if isinstance(t, Tensor)}
        return cls.from_tensors(tensors, f"{path}: gaze network")
