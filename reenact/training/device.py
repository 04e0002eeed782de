"""The device of a run."""

import torch

from reenact.errors import UserError


def pick_device(name: str) -> torch.device:
    """A device by name; `auto` takes a GPU if there is one. UserError if it is not usable."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--device {name}: not usable on this machine, try cpu") from error
    return device
