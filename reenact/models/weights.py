"""The networks of the method, and the recipe for rendering with them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from torch import nn

from diffae import (
    DDIM_ENCODE,
    SAMPLERS,
    CheckpointError,
    ConditionalUNet,
    DiffAE,
    SamplerName,
    Schedule,
)
from reenact.config import from_dict
from reenact.errors import UserError
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.ranges import Checked, Range, Share

Steps = Annotated[int, Range(at_least=1, at_most=1000)]
"""A number of sampler steps: the schedule has 1000 timesteps."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """How pictures are rendered with some weights. The defaults are what the paper's authors use.

    num_steps: sampler steps of each picture.
    encode_steps: DDIM steps of each inversion.
    sampler: the name of the sampler, one of `diffae.SAMPLERS`.
    x_T: where rendering starts, one of `reenact.inference.start.STARTS`.
    carry_detail: the source's fine features are moved with the head into the result (ours).
    temperature: strength of the noise in x_T; below 1, what has to be invented is smoother.
    strength: the share of the timesteps that are taken by starts that follow the motion. Below 1
        rendering begins at the noisiest of these instead of x_T (SDEdit, Meng et al. 2022).
    """

    num_steps: Steps = 20
    encode_steps: Steps = 50
    sampler: SamplerName = "ddim"
    x_T: str = "source"
    carry_detail: bool = False
    temperature: Share = 1.0
    strength: Share = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler not in SAMPLERS:
            raise UserError(f"sampler: must be one of {', '.join(SAMPLERS)}, got {self.sampler!r}")
        samplers = {"encode_steps": DDIM_ENCODE, "num_steps": SAMPLERS[self.sampler]}
        for name, sampler in samplers.items():
            try:
                sampler.timesteps(Schedule(), getattr(self, name))
            except ValueError as error:
                raise UserError(str(error).replace("num_steps", name, 1)) from error
        if not self._timesteps:
            raise UserError(
                f"strength: {self.strength:g} leaves none of {self.num_steps} steps, raise one"
            )

    @property
    def _timesteps(self) -> list[int]:
        """The timesteps of rendering."""
        schedule = Schedule()
        timesteps = SAMPLERS[self.sampler].timesteps(schedule, self.num_steps)
        return [t for t in timesteps if t < self.strength * schedule.num_timesteps]

    @property
    def first_timestep(self) -> int | None:
        """The timestep of x_t where rendering begins; None: it begins at x_T."""
        return None if self.strength == 1 else max(self._timesteps)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, where: str | Path) -> Recipe:
        """The inverse of `to_json`. Raises CheckpointError, which names `where`."""
        try:
            return from_dict(cls, json.loads(text), f"{where}: recipe")
        except UserError as error:
            raise CheckpointError(str(error)) from error
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{where}: its recipe is not valid JSON ({error})") from error


@dataclass(frozen=True, kw_only=True)
class ReenactorWeights:
    """The networks of the method, all with `diffae.config`.

    diffae: the frozen autoencoder, which inverts pictures.
    encoder: E_r.
    unet: the tuned U-Net, which renders; None renders with the autoencoder's own.
    metadata: the texts of the file's header.
    recipe: how the weights should be rendered; None where the file does not say it.
    """

    diffae: DiffAE
    encoder: ReenactmentEncoder
    unet: ConditionalUNet | None
    metadata: dict[str, str]
    recipe: Recipe | None = None


def networks_sha256(*networks: nn.Module | None) -> str:
    """The content of all weights, in whichever files they are stored. None has no weights."""
    digest = hashlib.sha256()
    for network in networks:
        if network is None:
            continue
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
