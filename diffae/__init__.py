"""Diffusion Autoencoder (Preechakul et al., CVPR 2022): networks, schedule, samplers, checkpoints.

Images are float32 NCHW RGB in [-1, 1]. Nothing here knows faces or training loops.
"""

from diffae.autoencoder import DiffAE
from diffae.checkpoint import load_checkpoint, save_checkpoint
from diffae.config import DiffAEConfig
from diffae.errors import CheckpointError
from diffae.sampler import ENCODER, SAMPLERS, Sampler, SamplerName, sample
from diffae.schedule import Schedule
from diffae.semantic_encoder import SemanticEncoder
from diffae.unet import ConditionalUNet

__all__ = [
    "ENCODER",
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
