"""The configuration of a Diffusion Autoencoder: all that decides the shape of its two networks."""

import dataclasses
import itertools
import json
from dataclasses import dataclass
from typing import Any, Literal, Self

LARGEST = {
    "image_size": 8192,
    "base_channels": 8192,
    "patch_size": 64,
    "num_res_blocks": 64,
    "z_channels": 65_536,
    "time_channels": 65_536,
}
"""The largest allowed values. A damaged file could ask for more than any memory holds."""


@dataclass(frozen=True, kw_only=True)
class DiffAEConfig:
    """Architecture and parameterisation. The defaults are those of the released checkpoints.

    image_size: side of the square images in pixels.
    base_channels: U-Net width at full resolution and dimension of the timestep sinusoid.
    channel_mults: U-Net width of each level, in units of `base_channels`, finest level first.
    encoder_channel_mults: the same for the semantic encoder (usually one level more).
    attention_resolutions: feature resolutions with self-attention (besides both middle blocks).
    num_res_blocks: residual blocks per level going down (one more going up).
    z_channels: length of the semantic code.
    time_channels: length of the timestep embedding.
    dropout: dropout in the residual blocks of the U-Net, in training only.
    prediction: what the U-Net predicts: "eps", or "v" = sqrt(abar) eps - sqrt(1 - abar) x_0
        (Salimans & Ho 2022, Sec. 4).
    conditioning: with "scale", the official one, the code scales the features. With
        "scale_shift" it also shifts them (ours).
    patch_size: side p of the pixel blocks that both networks take as channels. Their finest
        features have the side image_size / p (ours). The official value is 1; 2 costs a quarter.
    z_grid: 0, or the lowest resolution k of the U-Net. With k, a linear map of the code is
        added to the (k, k) features before the middle block (ours). The map starts at zero.

    Raises:
        ValueError: a value is out of range, or the levels do not fit the image size.
    """

    image_size: int
    base_channels: int
    channel_mults: tuple[float, ...]
    encoder_channel_mults: tuple[float, ...]
    attention_resolutions: tuple[int, ...] = (16,)
    num_res_blocks: int = 2
    z_channels: int = 512
    time_channels: int = 512
    dropout: float = 0.1
    prediction: Literal["eps", "v"] = "eps"
    conditioning: Literal["scale", "scale_shift"] = "scale"
    patch_size: int = 1
    z_grid: int = 0

    def __post_init__(self) -> None:
        self._check_types()
        self._check_ranges()
        self._check_levels()

    def _check_types(self) -> None:
        """Every number is a number. The type hints cannot promise this for a config from a file."""
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r:.40}")
            if value > most:
                raise ValueError(f"{name} must be at most {most}, got {value!r:.40}")
        for name, kinds in (
            ("channel_mults", (int, float)),
            ("encoder_channel_mults", (int, float)),
            ("attention_resolutions", (int,)),
        ):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(
                isinstance(value, kinds) and 0 < value <= LARGEST["base_channels"]
                for value in values
            ):
                raise ValueError(f"{name} must be a list of positive numbers, got {values!r:.40}")
        if not isinstance(self.dropout, (int, float)) or not isinstance(self.z_grid, int):
            raise ValueError(
                f"dropout and z_grid must be numbers, got {self.dropout!r:.40}, {self.z_grid!r:.40}"
            )

    def _check_ranges(self) -> None:
        if self.base_channels % 2:
            raise ValueError(f"base_channels must be even, got {self.base_channels}")
        if self.prediction not in ("eps", "v"):
            raise ValueError(f"prediction must be 'eps' or 'v', got {self.prediction!r}")
        if self.conditioning not in ("scale", "scale_shift"):
            raise ValueError(
                f"conditioning must be 'scale' or 'scale_shift', got {self.conditioning!r}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    def _check_levels(self) -> None:
        """The levels divide the image, and every layer's channels suit group norm."""
        for name in ("channel_mults", "encoder_channel_mults"):
            mults = getattr(self, name)
            if not mults or self.image_size % (self.patch_size * 2 ** (len(mults) - 1)):
                raise ValueError(
                    f"{name} {mults!r:.40} and patch_size {self.patch_size} "
                    f"do not fit image_size {self.image_size}"
                )
        unet = self.unet_channels
        # The output half concatenates features with skips of the same and of the next finer level.
        joined = [2 * c for c in unet] + [a + b for a, b in itertools.pairwise(unet)]
        for channels in (*unet, *self.encoder_channels, *joined):
            if channels < 1 or channels % min(32, channels):
                raise ValueError(
                    f"a layer gets {channels} channels; group norm needs a multiple of 32, or fewer"
                )
        if self.z_grid not in (0, self.lowest_resolution):
            raise ValueError(
                f"z_grid must be 0 or the lowest U-Net resolution {self.lowest_resolution}, "
                f"got {self.z_grid}"
            )

    @property
    def unet_channels(self) -> tuple[int, ...]:
        """Channels of each U-Net level, finest first."""
        return tuple(int(mult * self.base_channels) for mult in self.channel_mults)

    @property
    def encoder_channels(self) -> tuple[int, ...]:
        """Channels of each encoder level, finest first."""
        return tuple(int(mult * self.base_channels) for mult in self.encoder_channel_mults)

    def resolution(self, level: int) -> int:
        """Side of the features of a level; level 0 is the finest."""
        return self.image_size // (self.patch_size * 2**level)

    @property
    def lowest_resolution(self) -> int:
        """Side of the features in the U-Net's middle block."""
        return self.resolution(len(self.channel_mults) - 1)

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal config."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The config that `to_json` wrote.

        Raises:
            ValueError: not a JSON object, an unknown or missing key, or a value out of range.
        """
        values: Any = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("the DiffAE config is not a JSON object")
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - names):
            raise ValueError(f"unknown DiffAE config keys: {', '.join(unknown)}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"bad DiffAE config: {error}") from error
