"""The config of one training run: what train.py reads from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from diffae import DiffAEConfig
from reenact.data.dataset import DataConfig
from reenact.device import Precision
from reenact.training.log import LoggingConfig
from reenact.training.optim import OptimizerConfig
from reenact.training.stage_align import AlignConfig
from reenact.training.stage_autoencoder import AutoencoderConfig
from reenact.training.stage_reenact import ReenactConfig


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """One stage of training. Running the same config again continues where the run folder's
    checkpoint stands.

    Stage `autoencoder` trains the DiffAE described by `model`; stages `align` and `reenact` start
    from the weights named in their sections. `export` receives the averaged weights as .safetensors
    with every checkpoint. `max_seconds` ends the process early, with a checkpoint, for training in
    slices.
    """

    stage: Literal["autoencoder", "align", "reenact"]
    run_dir: Path
    export: Path
    num_steps: int
    batch_size: int
    data: DataConfig
    seed: int = 0
    precision: Precision = "auto"
    max_seconds: float | None = None
    ema_decay: float = 0.9999
    init: Path | None = None
    model: DiffAEConfig | None = None
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    reenact: ReenactConfig = field(default_factory=ReenactConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
