"""Finds the architecture of a state dict from the shapes of its tensors."""

import re
from collections.abc import Mapping

from diffae.config import DiffAEConfig

Shapes = Mapping[str, tuple[int, ...]]


def infer_config(shapes: Shapes, image_size: int | None = None) -> DiffAEConfig:
    """The config whose networks have parameters of these shapes.

    The output half of the U-Net tells the number of levels: in every level but the finest, the last
    entry ends with a second residual block, which upsamples. A `z_grid` map tells the resolution of
    the middle block. Without this map and without `image_size`, we assume attention at 16x16, as in
    the released models. The shapes do not tell dropout and `prediction`, which keep their defaults.

    Args:
        shapes: official key (no `model.` prefix) -> shape.
        image_size: side of the images if it is known, e.g. from the stored x_T.

    Raises:
        ValueError: these are not the keys of a Diffusion Autoencoder. The message says what is
            missing.
    """
    try:
        return _infer(shapes, image_size)
    except KeyError as error:
        raise ValueError(f"not a Diffusion Autoencoder: no tensor named {error}") from error


def _infer(shapes: Shapes, image_size: int | None) -> DiffAEConfig:
    time_channels, base_channels = shapes["time_embed.time_embed.0.weight"]
    num_entries = _count_entries(shapes, "output_blocks.")
    num_levels = 1 + sum(_has_upsampling(shapes, index) for index in range(num_entries))
    per_level = num_entries // num_levels  # residual blocks going down, plus one
    if per_level < 2 or num_entries % num_levels:
        raise ValueError(f"{num_entries} output blocks do not make {num_levels} U-Net levels")
    num_encoder_levels = _count_entries(shapes, "encoder.input_blocks.") // per_level
    unet_channels = _level_channels(shapes, "", num_levels, per_level)
    encoder_channels = _level_channels(shapes, "encoder.", num_encoder_levels, per_level)
    block_out = shapes["input_blocks.1.0.in_layers.2.weight"][0]
    z_out, z_channels = shapes["input_blocks.1.0.cond_emb_layers.1.weight"]

    levels = _attention_levels(shapes, "", num_levels, per_level)
    encoder_levels = _attention_levels(shapes, "encoder.", num_encoder_levels, per_level)
    patch_size = round((shapes["input_blocks.0.0.weight"][1] / 3) ** 0.5)
    z_grid = 0
    if "z_grid.weight" in shapes:
        z_grid = round((shapes["z_grid.weight"][0] / unet_channels[-1]) ** 0.5)
        image_size = patch_size * z_grid * 2 ** (num_levels - 1)
    if image_size is None:
        finest = min((*levels, *encoder_levels), default=None)
        if finest is None:
            raise ValueError("no attention outside the middle blocks tells the image size")
        image_size = patch_size * 16 * 2**finest
    return DiffAEConfig(
        image_size=image_size,
        base_channels=base_channels,
        channel_mults=_mults(unet_channels, base_channels),
        encoder_channel_mults=_mults(encoder_channels, base_channels),
        attention_resolutions=tuple(
            sorted({image_size // (patch_size * 2**level) for level in (*levels, *encoder_levels)})
        ),
        num_res_blocks=per_level - 1,
        z_channels=z_channels,
        time_channels=time_channels,
        conditioning="scale_shift" if z_out == 2 * block_out else "scale",
        patch_size=patch_size,
        z_grid=z_grid,
    )


def _count_entries(shapes: Shapes, prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    found = {int(match[1]) for key in shapes if (match := pattern.match(key))}
    if not found:
        raise KeyError(prefix + "0")
    return max(found) + 1


def _has_upsampling(shapes: Shapes, index: int) -> bool:
    prefix = f"output_blocks.{index}."
    return any(f"{prefix}{place}.in_layers.2.weight" in shapes for place in (1, 2))


def _first_entry(level: int, per_level: int) -> int:
    """Index in `input_blocks` of a level's first residual block; entry 0 is a convolution."""
    return 1 + level * per_level


def _level_channels(shapes: Shapes, prefix: str, num_levels: int, per_level: int) -> list[int]:
    return [
        shapes[f"{prefix}input_blocks.{_first_entry(level, per_level)}.0.in_layers.2.weight"][0]
        for level in range(num_levels)
    ]


def _attention_levels(shapes: Shapes, prefix: str, num_levels: int, per_level: int) -> list[int]:
    return [
        level
        for level in range(num_levels)
        if f"{prefix}input_blocks.{_first_entry(level, per_level)}.1.qkv.weight" in shapes
    ]


def _mults(channels: list[int], base_channels: int) -> tuple[float, ...]:
    return tuple(
        width / base_channels if width % base_channels else width // base_channels
        for width in channels
    )
