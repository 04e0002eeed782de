"""The config of one training run: what train.py reads from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from diffae import DiffAEConfig
from reenact.data.dataset import DataConfig
from reenact.device import Precision
from reenact.face.factory import FaceConfig
from reenact.training.log import LoggingConfig
from reenact.training.optimizer import OptimizerConfig
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

    `batch_size` is that of a step, whatever the number of processes that share it; `accumulate`
    takes it in so many parts, one after the other. `recompute_blocks` saves memory: of the
    networks' blocks only the inputs are kept, the backward pass computes the rest again. `compile`
    puts U-Net and encoders through torch.compile. `face` names the stack that read the clips.
    """

    stage: Literal["autoencoder", "align", "reenact"]
    run_dir: Path
    export: Path
    num_steps: int
    batch_size: int
    data: DataConfig
    seed: int = 0
    precision: Precision = "auto"
    accumulate: int = 1
    recompute_blocks: bool = False
    compile: bool = False
    max_seconds: float | None = None
    ema_decay: float = 0.9999
    init: Path | None = None
    model: DiffAEConfig | None = None
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    reenact: ReenactConfig = field(default_factory=ReenactConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    face: FaceConfig = field(default_factory=FaceConfig)

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.precision == "fp16":
            raise ValueError("precision fp16 has too small a range for gradients, take bf16")
