"""The EMOCA encoders (Danecek et al., CVPR 2022): from a face picture to FLAME parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
import yaml
from torch import Tensor, nn

from diffae import CheckpointError
from diffae.unpickle import read_torch
from reenact.errors import UserError
from reenact.face.released.flame import Flame
from reenact.face.released.resnet import NUM_FEATURES, load_by_name, resnet50_trunk

CODE_WIDTHS = {"shape": 100, "tex": 50, "exp": 50, "pose": 6, "cam": 3, "light": 27}
"""Parts of the coarse encoder's output, in order."""
NUM_EXPRESSION = CODE_WIDTHS["exp"]
NUM_HIDDEN = 1024
PREFIX = "deca."
FLAME_PREFIX = "deca.flame."

PosePart = Literal["jaw", "global"]
POSE_ROWS: dict[str, slice] = {"global": slice(0, 3), "jaw": slice(3, 6), "both": slice(0, 6)}


@dataclass(frozen=True, kw_only=True, eq=False)
class EmocaCodes:
    """The parameters that EMOCA reads from a batch of faces: the fields of `FlameParams` without
    the gaze.
    """

    shape: Tensor
    expression: Tensor
    pose: Tensor
    cam: Tensor


class Encoder(nn.Module):
    """ResNet-50 and two linear layers, without input normalisation and final activation."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.encoder = resnet50_trunk()
        self.layers = nn.Sequential(
            nn.Linear(NUM_FEATURES, NUM_HIDDEN), nn.ReLU(), nn.Linear(NUM_HIDDEN, num_outputs)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(self.encoder(images))


class Emoca(nn.Module):
    """Two encoders. The coarse one gives all parameters. The second one replaces the expression,
    and in some checkpoints also the pose or a part of it.

    Args:
        num_expression_outputs: outputs of the second encoder. 50 = expression, 53 = expression and
            `pose_part`, 56 = expression and all six pose values.
        pose_part: the rotation that the last three of 53 outputs are.
    """

    def __init__(
        self, num_expression_outputs: int = NUM_EXPRESSION, pose_part: PosePart | None = None
    ) -> None:
        super().__init__()
        self.E_flame = Encoder(sum(CODE_WIDTHS.values()))
        self.E_expression = Encoder(num_expression_outputs)
        choices = {0: None, 3: pose_part, 6: "both"}
        part = choices[num_expression_outputs - NUM_EXPRESSION]
        assert part is not None or num_expression_outputs == NUM_EXPRESSION
        self._pose_rows = None if part is None else POSE_ROWS[part]

    @torch.no_grad()
    def encode(self, images224: Tensor) -> EmocaCodes:
        """Crops (B, 3, 224, 224), RGB in [0, 1] -> their codes; no gradients."""
        coarse = dict(
            zip(
                CODE_WIDTHS,
                self.E_flame(images224).split(list(CODE_WIDTHS.values()), dim=1),
                strict=True,
            )
        )
        outputs = self.E_expression(images224)
        pose = coarse["pose"].clone()
        if self._pose_rows is not None:
            pose[:, self._pose_rows] = outputs[:, NUM_EXPRESSION:]
        return EmocaCodes(
            shape=coarse["shape"],
            expression=outputs[:, :NUM_EXPRESSION],
            pose=pose,
            cam=coarse["cam"],
        )

    @classmethod
    def from_tensors(
        cls,
        tensors: Mapping[str, Tensor],
        pose_part: PosePart | None = None,
        where: str | Path = "EMOCA",
    ) -> Self:
        """From the checkpoint's `state_dict`, in evaluation mode without gradients. Names that
        belong to neither encoder are ignored.

        Raises CheckpointError for missing or mis-shaped tensors, and for an expression head of
        another width. The line begins with `where`.
        """
        width = expression_width(tensors, where)
        with torch.device("meta"):
            emoca = cls(width, pose_part)
        needed = emoca.state_dict()
        used = {name: tensors[PREFIX + name] for name in needed if PREFIX + name in tensors}
        load_by_name(emoca, used, where, PREFIX)
        return emoca.eval().requires_grad_(False)


def expression_width(tensors: Mapping[str, Tensor], where: str | Path) -> int:
    """Number of outputs of the expression encoder: 50, 53 or 56. Raises CheckpointError."""
    name = f"{PREFIX}E_expression.layers.2.weight"
    if name not in tensors:
        raise CheckpointError(f"{where}: not an EMOCA checkpoint with expressions, lacks {name}")
    width = len(tensors[name])
    if width - NUM_EXPRESSION not in (0, 3, 6):
        raise CheckpointError(f"{where}: {width} expression outputs, expected 50, 53 or 56")
    return width


def load_emoca(path: str | Path) -> tuple[Emoca, Flame]:
    """Encoders and head model of a released EMOCA checkpoint. DiffusionAct uses the checkpoint
    EMOCA_v2_lr_mse_20. Where the weights leave a choice, `cfg.yaml` in a folder above the file
    decides.

    Raises:
        CheckpointError: unreadable or foreign file, or tensors that do not fit.
        UserError: 53 expression outputs and no `cfg.yaml` that says what they are.
    """
    path = Path(path)
    tensors = _read_tensors(path)
    part = None
    if expression_width(tensors, path) == NUM_EXPRESSION + 3:
        part = _configured_part(path)
    return Emoca.from_tensors(tensors, part, path), _flame(tensors)


def load_flame(path: str | Path) -> Flame:
    """The head model of a released EMOCA checkpoint, without the encoders.

    Raises CheckpointError: unreadable or foreign file, or tensors that do not fit.
    """
    return _flame(_read_tensors(Path(path)))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    content = read_torch(path)
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: not an EMOCA checkpoint, it holds no `state_dict`")
    return {str(name): t for name, t in state.items() if isinstance(t, Tensor)}


def _flame(tensors: Mapping[str, Tensor]) -> Flame:
    # The tensors are views of the mapped file. `Flame` copies what it keeps.
    return Flame.from_tensors(
        {
            name.removeprefix(FLAME_PREFIX): tensor
            for name, tensor in tensors.items()
            if name.startswith(FLAME_PREFIX)
        }
    )


def _configured_part(checkpoint: Path) -> PosePart:
    """The rotation that the last three of 53 outputs are, by EMOCA's own cfg.yaml."""
    # The checkpoint is <model>/detail/checkpoints/[<more>/]<name>.ckpt; cfg.yaml is in <model>.
    folders = list(checkpoint.resolve().parents)[:5]
    found = next((f / "cfg.yaml" for f in folders if (f / "cfg.yaml").is_file()), None)
    if found is None:
        raise UserError(
            f"{checkpoint}: its 53 expression outputs hold jaw or head rotation, "
            f"put EMOCA's cfg.yaml beside the folder `detail`"
        )
    try:
        section: Any = yaml.safe_load(found.read_text(encoding="utf-8"))
        for key in ("detail", "model"):
            section = section[key]
        jaw, whole = (bool(section.get(f"exp_deca_{n}_pose")) for n in ("jaw", "global"))
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{found}: not EMOCA's cfg.yaml (no detail.model section)") from error
    if jaw == whole:
        raise UserError(
            f"{found}: of exp_deca_jaw_pose and exp_deca_global_pose exactly one must be true "
            "for 53 expression outputs"
        )
    return "jaw" if jaw else "global"
