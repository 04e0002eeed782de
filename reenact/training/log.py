"""Scalars and pictures of a run: metrics.jsonl for programs, TensorBoard and PNGs for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reenact.files import make_folder
from reenact.media.images import frame_from_image


@dataclass(frozen=True, kw_only=True)
class LoggingConfig:
    """How often things are written, in steps; 0 means never.

    Previews draw `num_images` samples; a validation takes the mean losses of the averaged weights
    over `num_validation` samples, the same every time.
    """

    scalars_every: int = 50
    preview_every: int = 1000
    validate_every: int = 0
    checkpoint_every: int = 500
    num_images: int = 6
    num_validation: int = 64
    num_steps: int = 20
    encode_steps: int = 20
    tensorboard: bool = True


class RunLog:
    """Writes into `run_dir`; entries of steps after `start_step`, left by an interrupted run, are
    dropped.
    """

    def __init__(self, run_dir: Path, start_step: int, *, tensorboard: bool) -> None:
        self.run_dir = run_dir
        self.path = run_dir / "metrics.jsonl"
        if self.path.is_file():
            kept = [
                line for line in self.path.read_text().splitlines() if _step_of(line) <= start_step
            ]
            self.path.write_text("".join(line + "\n" for line in kept))
        self.writer: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                print("tensorboard is not installed: scalars go to metrics.jsonl only")
            else:
                self.writer = SummaryWriter(run_dir / "tensorboard", purge_step=start_step + 1)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Append one record; `step` counts finished optimizer steps."""
        record = {"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def grid(self, step: int, name: str, rows: list[Tensor]) -> Path:
        """Write columns of images (each (N, 3, S, S) in [-1, 1]) side by side as one PNG, one
        sample a line.
        """
        frame = grid_frame(rows)
        path = self.run_dir / "previews" / f"{name}_{step:07d}.png"
        make_folder(path.parent)
        Image.fromarray(frame).save(path)
        if self.writer is not None:
            self.writer.add_image(name, frame, step, dataformats="HWC")
        return path

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def grid_frame(columns: list[Tensor]) -> np.ndarray:
    """Lay columns of images out as one uint8 picture: sample n of every column stands in line n."""
    columns = [column.detach().float().cpu().clamp(-1, 1) for column in columns]
    wide = torch.cat(columns, dim=3)
    return frame_from_image(torch.cat(list(wide), dim=1)[None])[0]


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        # a line cut off by a crash belongs to no step that counts
        return 2**62
