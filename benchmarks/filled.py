"""The published architecture with weights that a rule makes from the names of the parameters.

Nobody needs the real weights to measure speed, or to compare results of one network. The golden
numbers in the tests use the same rule.
"""

import hashlib
import math

import torch
from torch import Tensor

from diffae import DiffAE
from diffae.checkpoint import official_name
from reenact.models.released import PUBLISHED_CONFIG


def filled_weight(key: str, shape: torch.Size) -> Tensor:
    """The rule's value of the parameter with this official name."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") % 2**63
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if len(shape) > 1:
        return values / math.sqrt(math.prod(shape[1:]))
    return 1 + 0.1 * values if key.endswith(".weight") else 0.1 * values


def published_model() -> DiffAE:
    """The 256-px autoencoder, in evaluation mode, without gradients."""
    with torch.device("meta"):
        model = DiffAE(PUBLISHED_CONFIG)
    state = {
        name: filled_weight(official_name(name), weight.shape)
        for name, weight in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)
