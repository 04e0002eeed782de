"""Diffusion Autoencoder (Preechakul et al., CVPR 2022): networks, schedule, samplers, checkpoints.

Images are float32 NCHW RGB in [-1, 1]. Nothing here knows faces or training loops.
"""

from diffae.autoencoder import DiffAE
from diffae.checkpoint import load_checkpoint, save_checkpoint
from diffae.config import DiffAEConfig
from diffae.errors import CheckpointError
from diffae.sampler import ddim, ddim_encode, ddim_trailing, dpmpp_2m
from diffae.schedule import Schedule
from diffae.semantic_encoder import SemanticEncoder
from diffae.unet import ConditionalUNet

__all__ = [
    "CheckpointError",
    "ConditionalUNet",
    "DiffAE",
    "DiffAEConfig",
    "Schedule",
    "SemanticEncoder",
    "ddim",
    "ddim_encode",
    "ddim_trailing",
    "dpmpp_2m",
    "load_checkpoint",
    "save_checkpoint",
]
