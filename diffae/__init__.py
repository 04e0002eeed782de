"""Diffusion Autoencoder (Preechakul et al., CVPR 2022): networks, schedule, samplers, checkpoints.

Images are float32 NCHW RGB in [-1, 1]. Nothing here knows faces or training loops.

Where to start reading: `autoencoder` joins all parts. `semantic_encoder` and `unet` are the two
networks, made of `blocks`. `schedule` holds the noise levels and `sampler` the steps between them.
`checkpoint` reads the released weights, with `architecture` and `unpickle`.
"""

from diffae.autoencoder import DiffAE
from diffae.checkpoint import load_checkpoint, save_checkpoint
from diffae.config import DiffAEConfig
from diffae.errors import CheckpointError
from diffae.sampler import DDIM_ENCODE, SAMPLERS, Sampler, SamplerName, sample
from diffae.schedule import Schedule
from diffae.semantic_encoder import SemanticEncoder
from diffae.unet import ConditionalUNet

__all__ = [
    "DDIM_ENCODE",
    "SAMPLERS",
    "CheckpointError",
    "ConditionalUNet",
    "DiffAE",
    "DiffAEConfig",
    "Sampler",
    "SamplerName",
    "Schedule",
    "SemanticEncoder",
    "load_checkpoint",
    "sample",
    "save_checkpoint",
]
