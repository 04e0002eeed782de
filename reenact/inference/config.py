"""The settings of the reenactor."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from diffae import SamplerName
from reenact.device import Precision
from reenact.errors import UserError
from reenact.inference.start import StartName, find_start
from reenact.models.weights import Recipe, Steps
from reenact.ranges import Checked, Count, Seed, Share


@dataclass(frozen=True, kw_only=True)
class ReenactorConfig(Checked):
    """How a crop is rendered. The first seven fields are the recipe; null = what the weights say.

    num_steps: sampler steps of each picture.
    encode_steps: DDIM steps of each inversion.
    sampler: how the steps are taken: "ddim", "ddim_trailing" or "dpmpp2m".
    x_T: where rendering starts. "source" = the source's inversion. "random" = seeded noise.
        "mixed" = seeded noise in the source's head region, the inversion elsewhere. "moved" = the
        source moved with the head model and then inverted, with seeded noise where the source does
        not show what the result shows (ours). "layered" = the layers of the photo, moved and then
        inverted (ours).
    carry_detail: the result is composed of the photo's layers; the networks draw what the photo
        hides (ours, see docs/layers.md).
    temperature: strength of the seeded noise; below 1, what has to be invented is smoother.
    strength: the share of the timesteps that are taken; below 1 the noisiest steps are left out,
        which is faster. Only x_T "moved" and "layered" can do without them.
    precision: number format; "auto" takes bfloat16 where the device computes it natively, else
        float32.
    batch_size: pictures rendered at a time; it changes the speed and not the result.
    seed: seed of the noise.
    cache: where inversions of many steps are kept, so that the same photo is inverted only once:
        "auto" = the user's cache folder, "off" = nowhere, or a folder.
    """

    num_steps: Steps | None = None
    encode_steps: Steps | None = None
    sampler: SamplerName | None = None
    x_T: StartName | None = None
    carry_detail: bool | None = None
    temperature: Share | None = None
    strength: Share | None = None
    precision: Precision = "auto"
    batch_size: Count = 12
    seed: Seed = 0
    cache: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self._set()
        if self.sampler is None:
            known.pop("num_steps", None)  # the weights' sampler decides which numbers are possible
        find_start(replace(Recipe(), **known).x_T)

    def recipe(self, trained: Recipe) -> Recipe:
        """The recipe of the weights, with the values that are set here.

        Raises UserError for an unknown start, for one that needs the layers when there are none,
        and for steps that are not possible.
        """
        recipe = replace(trained, **self._set())
        check_layers(recipe)
        return recipe

    @property
    def left_out(self) -> list[str]:
        """The values of the recipe that are not set here."""
        return [name for name in Recipe.__dataclass_fields__ if name not in self._set()]

    def changes(self, trained: Recipe) -> list[str]:
        """The values of the weights' recipe that are set otherwise here, in words."""
        own = asdict(trained)
        return [
            f"{name} {_shown(own[name])}, now {_shown(value)}"
            for name, value in self._set().items()
            if value != own[name]
        ]

    def _set(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in Recipe.__dataclass_fields__}
        return {name: value for name, value in values.items() if value is not None}


def check_layers(recipe: Recipe) -> None:
    """Raises UserError for an unknown start, and for one that lacks its layers."""
    if find_start(recipe.x_T).needs_layers and not recipe.carry_detail:
        raise UserError(
            f"x_T: {recipe.x_T} starts from the photo's layers, set carry_detail to true"
        )


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
