"""The config of one training run: what train.py reads from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from diffae import DiffAEConfig, SamplerName
from reenact.data.dataset import DataConfig
from reenact.device import Precision
from reenact.errors import UserError
from reenact.face.factory import FaceConfig
from reenact.inference.config import check_layers
from reenact.inference.start import StartName, find_start
from reenact.models.lora import LoraConfig
from reenact.models.weights import Recipe
from reenact.ranges import Checked, Count, Positive, Range, Seed, Share
from reenact.training.log import LoggingConfig
from reenact.training.loss_terms import COMPOSED, LossNets, LossWeights
from reenact.training.optimizer import OptimizerConfig

Timestep = Annotated[int, Range(at_least=0, at_most=999)]


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(Checked):
    """How timesteps are drawn.

    t_sampling: from a uniform u in [0, 1), `uniform` gives floor(T u), as in DiffAE, and
        `high_noise` gives floor(T u^(1 / t_power)). High noise makes the semantic code carry the
        layout of the picture. At low noise x_t itself shows the layout already.
    t_power: how strongly `high_noise` prefers high noise; 1 is uniform.
    """

    t_sampling: Literal["uniform", "high_noise"] = "uniform"
    t_power: Positive = 2.0


@dataclass(frozen=True, kw_only=True)
class AlignConfig(Checked):
    """Which pairs E_r learns from, and how its codes are compared.

    cross_fraction: share of cross pairs, whose reference is the rendered cross frame (ours).
    cross_start: the step from which on there are cross pairs.
    normalise: divide each channel's error by the spread of this channel over the data, which is
        measured once at the start. Channels of small numbers then count as much as others (ours).
    motion_head: give E_r the face parameters besides their drawing (ours, see ReenactmentEncoder).
    """

    cross_fraction: Share = 0.0
    cross_start: Annotated[int, Range(at_least=0)] = 0
    normalise: bool = False
    motion_head: bool = False


@dataclass(frozen=True, kw_only=True)
class ReenactConfig(Checked):
    """How pictures are rendered for the losses.

    render: `sampler` runs `render_steps` sampler steps from x_T. `one_step` noises the reference to
        a random timestep, with x_T as its noise, and predicts x_0 once.
    render_steps: sampler steps of each picture.
    sampler: the name of the sampler.
    grad_steps: gradients flow through the last so many sampler steps; 0 means all of them.
    recompute: keep no activations between the sampler steps. It costs a third more time.
    one_step_t: first and last timestep of `one_step`.
    x_T: where rendering starts, one of `reenact.inference.start.STARTS`.
    source_start_fraction: share of the samples that start from the inverted source instead, with
        all timesteps, as in the paper. There the code alone must move the head (ours). It needs
        `sampler`.
    encode_steps: DDIM steps of the inversion.
    carry_detail: whether inference composes pictures of the photo's layers (docs/layers.md). It
        goes into the recipe of the exported weights. `x_T: layered` needs it.
    temperature: strength of the noise in x_T, in training with `sampler` and at inference. It goes
        into the recipe, too.
    strength: the share of the timesteps that are taken, see `Recipe`. Below 1 it needs `sampler`.
    tune_unet: train a copy of the U-Net as the renderer. The inversion keeps the frozen one.
    share_unet: the trained U-Net inverts, too, without gradients. The exported file then holds one
        U-Net (ours). It needs tune_unet.
    cross_fraction: share of cross pairs.
    cross_start: the step from which on there are cross pairs.
    cross_reference: whether cross pairs have a rendered truth, which then takes part in all losses.
        Real videos have none. Then only identity, background (against the source) and shape,
        gaze and head pose (against the retargeted parameters) apply to cross pairs.
    weights: the weights of the losses.
    nets: the networks of the losses.
    """

    render: Literal["sampler", "one_step"] = "one_step"
    render_steps: Count = 5
    sampler: SamplerName = "ddim"
    grad_steps: Annotated[int, Range(at_least=0)] = 2
    recompute: bool = False
    one_step_t: tuple[Timestep, Timestep] = (400, 999)
    x_T: StartName = "mixed"
    source_start_fraction: Share = 0.0
    encode_steps: Count = 10
    carry_detail: bool = False
    temperature: Share = 1.0
    strength: Share = 1.0
    tune_unet: bool = False
    share_unet: bool = False
    cross_fraction: Share = 0.5
    cross_start: Annotated[int, Range(at_least=0)] = 0
    cross_reference: bool = True
    weights: LossWeights = field(default_factory=LossWeights)
    nets: LossNets = field(default_factory=LossNets)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            check_layers(self.recipe)
        except UserError as error:
            raise UserError(str(error).replace("num_steps", "render_steps", 1)) from error
        if self.judges_layers and not self.carry_detail:
            raise UserError(
                f"weights: {', '.join(COMPOSED)} judge the finished picture, set carry_detail to "
                "true or these weights to 0"
            )
        if self.share_unet and not self.tune_unet:
            raise UserError("share_unet: the U-Net must be trained, set tune_unet to true")
        if self.strength < 1 and self.render == "one_step":
            raise UserError("strength: one_step noises pictures from x_T on, set render to sampler")
        if self.source_start_fraction and self.render == "one_step":
            raise UserError("source_start_fraction: needs several steps, set render to sampler")
        if self.one_step_t[0] > self.one_step_t[1]:
            raise UserError(f"one_step_t: the first must not be larger, got {self.one_step_t}")

    @property
    def has_layers(self) -> bool:
        """Whether training composes pictures of photos' layers, which the clips must have."""
        return self.judges_layers or find_start(self.x_T).needs_layers

    @property
    def judges_layers(self) -> bool:
        """Whether a loss judges the finished picture."""
        return not self.weights.active().keys().isdisjoint(COMPOSED)

    @property
    def source_recipe(self) -> Recipe:
        """The recipe of the samples that `source_start_fraction` counts."""
        return replace(self.recipe, x_T="source", strength=1.0)

    @property
    def recipe(self) -> Recipe:
        """How the exported weights should be rendered: as they are trained."""
        return Recipe(
            num_steps=self.render_steps,
            encode_steps=self.encode_steps,
            sampler=self.sampler,
            x_T=self.x_T,
            carry_detail=self.carry_detail,
            temperature=self.temperature,
            strength=self.strength,
        )


SECTIONS = {"autoencoder": AutoencoderConfig, "align": AlignConfig, "reenact": ReenactConfig}
"""The section of each stage, which has the stage's name."""


@dataclass(frozen=True, kw_only=True)
class TrainRun(Checked):
    """One stage of training.

    The same config again continues where the checkpoint in the run folder stands.

    stage: what is trained: the DiffAE itself, E_r on codes, or E_r on rendered pictures.
    run_dir: folder of the checkpoint, the logs and the previews.
    export: the .safetensors that gets the averaged weights with every checkpoint.
    num_steps: optimizer steps of the whole run.
    batch_size: samples of one step, of all processes together.
    data: where the clips are and how they are read.
    seed: of the samples, their noise, dropout and fresh weights.
    precision: `auto` is bf16 where the hardware computes it natively, else fp32. fp16 is refused.
    accumulate: compute each step's batch in so many parts, one after the other.
    recompute_blocks: save memory: keep only the inputs of the networks' blocks, and compute the
        rest again in the backward pass.
    compile: put U-Nets and encoders through torch.compile.
    max_seconds: end early, with a checkpoint, for training in slices; null means never.
    ema_decay: how much of itself the average of the weights keeps in a step.
    init: the weights to start from. Stage `autoencoder` may start without.
    model: the networks of a DiffAE that starts from nothing. Only stage `autoencoder` has this
        section, and not together with `init`, whose file says what its networks are.
    lora: train small updates of low rank, which also go into an adapter file beside `export`. Null
        trains all weights. Stage `autoencoder` has no such updates.
    autoencoder: settings of stage `autoencoder`. A run may only have the section of its own stage.
    align: settings of stage `align`.
    reenact: settings of stage `reenact`.
    optimizer: how the weights are updated.
    logging: what is written, and how often.
    face: the face stack that read the clips.
    """

    stage: Literal["autoencoder", "align", "reenact"]
    run_dir: Path
    export: Path
    num_steps: Count
    batch_size: Annotated[int, Range(at_least=1, at_most=65_536)]
    data: DataConfig
    seed: Seed = 0
    precision: Precision = "auto"
    accumulate: Count = 1
    recompute_blocks: bool = False
    compile: bool = False
    max_seconds: Positive | None = None
    ema_decay: Annotated[float, Range(at_least=0, below=1)] = 0.9999
    init: Path | None = None
    model: DiffAEConfig | None = None
    lora: LoraConfig | None = None
    autoencoder: AutoencoderConfig | None = None
    align: AlignConfig | None = None
    reenact: ReenactConfig | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    face: FaceConfig = field(default_factory=FaceConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, section in SECTIONS.items():
            if name != self.stage and getattr(self, name) is not None:
                raise UserError(
                    f"{name}: belongs to stage {name}, this run's stage is {self.stage}; remove it"
                )
            if name == self.stage and getattr(self, name) is None:
                # The stored config of a run should show the defaults, too.
                object.__setattr__(self, name, section())
        if self.stage != "autoencoder" and self.init is None:
            raise UserError(
                f"init: stage {self.stage} needs the weights of a trained DiffAE or of a "
                "reenactor; name their file"
            )
        if self.stage == "autoencoder" and self.init is None and self.model is None:
            raise UserError(
                "model: stage autoencoder needs this section, or weights to start from in `init`"
            )
        if self.model is not None and self.stage != "autoencoder":
            raise UserError(
                f"model: stage {self.stage} takes the networks of the file `init`; remove the "
                "section"
            )
        if self.model is not None and self.init is not None:
            raise UserError("model: the file `init` says what the networks are; remove one of both")
        if self.lora is not None and self.stage == "autoencoder":
            raise UserError("lora: stage autoencoder trains all weights; remove the section")
        if self.lora is not None and self.reenact is not None and self.reenact.share_unet:
            raise UserError("lora: cannot train a shared U-Net; set reenact.share_unet to false")
        if self.precision == "fp16":
            raise UserError("precision: fp16 has too small a range for gradients, take bf16")
        steps = {n: getattr(self.logging, n) for n in ("num_steps", "encode_steps")}
        try:
            Recipe(sampler="ddim" if self.reenact is None else self.reenact.sampler, **steps)
        except UserError as error:
            raise UserError(f"logging.{error}") from error
