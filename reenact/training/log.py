"""What a run reports: means over steps, metrics.jsonl, TensorBoard and preview pictures."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from reenact.device import exact
from reenact.errors import UserError, warn
from reenact.files import atomic_output, make_folder
from reenact.media.images import frame_from_image
from reenact.processes import ALONE, World
from reenact.ranges import Checked, Count, Range

T = TypeVar("T")
Every = Annotated[int, Range(at_least=0)]
MAX_BAD_STEPS = 20
MIN_PICTURE_SIDE = 96
"""Pixels. Smaller pictures are enlarged in previews, so that the titles above them fit."""
TEXT_HEIGHT = 18


@dataclass(frozen=True, kw_only=True)
class LoggingConfig(Checked):
    """What is written, and how often.

    scalars_every: steps between two records of the mean losses; 0 means never.
    preview_every: steps between two preview pictures; 0 means never.
    validate_every: steps between two validations; 0 means never. A validation logs the mean losses
        of the averaged weights over held-out samples, which are the same every time.
    checkpoint_every: steps between two checkpoints and exports; 0 means only at the end.
    num_images: samples of a preview.
    num_validation: samples of a validation.
    num_steps: sampler steps of the previews.
    encode_steps: DDIM steps of the inversions of the previews.
    tensorboard: whether to write TensorBoard files beside metrics.jsonl.
    wandb: name of a project on Weights & Biases, which then gets the same numbers, previews and
        config. Null sends nothing anywhere.
    """

    scalars_every: Every = 50
    preview_every: Every = 1000
    validate_every: Every = 0
    checkpoint_every: Every = 500
    num_images: Annotated[int, Range(at_least=1, at_most=256)] = 6
    num_validation: Annotated[int, Range(at_least=1, at_most=1_000_000)] = 64
    num_steps: Count = 20
    encode_steps: Count = 20
    tensorboard: bool = True
    wandb: str | None = None


def tally(values: Tensor, chosen: Tensor | None = None) -> Tensor:
    """(2,) float32: sum and number of the values (B,), or of the `chosen` (B,) among them.

    Tallies of parts add up to the tally of the whole.
    """
    values = values.detach().float()
    if chosen is None:
        chosen = torch.ones_like(values, dtype=torch.bool)
    return torch.stack([torch.where(chosen, values, 0).sum(), chosen.sum().float()])


def add_tallies(total: dict[str, Tensor], more: Mapping[str, Tensor]) -> None:
    """Add tallies to `total`, name by name."""
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value


def means(tallies: Mapping[str, Tensor], world: World = ALONE) -> dict[str, float]:
    """Means over all processes, by name. A name that no sample had is left out."""
    if not tallies:
        return {}
    names = sorted(tallies)
    totals = world.sum(exact(torch.stack([tallies[name] for name in names]))).tolist()
    pairs = zip(names, totals, strict=True)
    return {name: total / count for name, (total, count) in pairs if count}


def l1(pictures: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    """Mean absolute difference of pictures (B, 3, S, S), where `mask` (B, 1, S, S) is 1."""
    error = (pictures - truth).abs()
    if mask is None:
        return float(error.mean())
    return float((error * mask).sum() / (3 * mask.sum()).clamp(min=1))


class Meter:
    """Means of tallied values since the last reset, the speed, and how long steps wait for data."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tensor] = {}
        self.bad_in_sequence = 0
        self.restart_clock()

    def add(self, tallies: dict[str, Tensor], num_images: int, *, is_bad: bool) -> None:
        """Count one step. Of a step that `is_bad` only this fact is counted.

        Raises UserError after MAX_BAD_STEPS bad steps in sequence.
        """
        self.bad_in_sequence = self.bad_in_sequence + 1 if is_bad else 0
        if self.bad_in_sequence >= MAX_BAD_STEPS:
            raise UserError(
                f"{MAX_BAD_STEPS} steps in sequence had no finite gradient, "
                "lower optimizer.lr or set precision to fp32"
            )
        self.num_images += num_images
        bad = {"bad_steps": torch.tensor([float(is_bad), 1.0])}
        add_tallies(self.tallies, bad if is_bad else tallies | bad)

    def mean_and_reset(self, world: World = ALONE) -> dict[str, float]:
        """Means by name over all processes, plus `images_per_second` and `data_wait`.

        data_wait: the share of the time, in [0, 1], in which a step had no batch yet. The mean over
        the processes.
        """
        values = means({name: t.cpu() for name, t in self.tallies.items()}, world)
        took = max(time.monotonic() - self.clock, 1e-9)
        values["images_per_second"] = self.num_images / took
        values["data_wait"] = float(world.sum(torch.tensor(self.waited / took))) / world.size
        self.tallies = {}
        self.restart_clock()
        return values

    def restart_clock(self) -> None:
        """Leave the time since the last reset (previews, checkpoints) out of the measured time."""
        self.num_images = 0
        self.waited = 0.0
        self.clock = time.monotonic()

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches. The time until each of them is there counts as waiting for data."""
        iterator = iter(batches)
        while True:
            begin = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.waited += time.monotonic() - begin
            yield batch

    def state(self, world: World = ALONE) -> dict[str, Any]:
        """Everything but the speed, of all processes; every process calls it and gets the same."""
        names = sorted(self.tallies)
        every = torch.zeros(world.size, len(names), 2)
        for i, name in enumerate(names):
            every[world.rank, i] = self.tallies[name].cpu()
        return {
            "names": names,
            "tallies": world.sum(every),
            "bad_in_sequence": self.bad_in_sequence,
        }

    def load_state(self, state: Mapping[str, Any], world: World = ALONE) -> None:
        """Go on from `state`. With another number of processes the first one takes all of it."""
        every: Tensor = state["tallies"]
        if len(every) == world.size:
            own = every[world.rank]
        else:
            own = every.sum(0) if world.is_main else torch.zeros_like(every[0])
        self.tallies = dict(zip(state["names"], own, strict=True))
        self.bad_in_sequence = int(state["bad_in_sequence"])


class RunLog:
    """Writes into `run_dir`.

    Entries of steps after `start_step`, left by an interrupted run, are dropped. `config` is the
    resolved config as plain values; it is stored as config.json and shown in TensorBoard. `wandb`
    is the project of Weights & Biases, or None. Raises UserError if that package is missing.
    """

    def __init__(
        self,
        run_dir: Path,
        start_step: int,
        config: Mapping[str, Any],
        *,
        tensorboard: bool,
        wandb: str | None = None,
    ) -> None:
        make_folder(run_dir)
        with atomic_output(run_dir / "config.json") as temporary:
            temporary.write_text(json.dumps(config, indent=2) + "\n")
        self.run_dir = run_dir
        self.path = run_dir / "metrics.jsonl"
        if self.path.is_file():
            lines = self.path.read_text().splitlines()
            kept = [line + "\n" for line in lines if _step_of(line) <= start_step]
            with atomic_output(self.path) as temporary:
                temporary.write_text("".join(kept))
        self.writer: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                warn("tensorboard is not installed: scalars go to metrics.jsonl only")
            else:
                self.writer = SummaryWriter(run_dir / "tensorboard", purge_step=start_step + 1)
                # Markdown shows indented lines as they are.
                text = yaml.safe_dump(dict(config), sort_keys=False)
                indented = "".join(f"    {line}\n" for line in text.splitlines())
                self.writer.add_text("config", indented, start_step)
        self.remote = None if wandb is None else _wandb_run(run_dir, wandb, config)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append one record; `step` counts finished optimizer steps."""
        record = {"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)
        if self.remote is not None:
            self.remote.log(dict(values), step=step)

    def preview(self, step: int, columns: Mapping[str, Tensor], caption: str) -> None:
        """Write columns of pictures as previews/preview_STEP.png; see `preview_sheet`."""
        frame = preview_sheet(columns, caption)
        path = self.run_dir / "previews" / f"preview_{step:07d}.png"
        make_folder(path.parent)
        with atomic_output(path) as temporary:
            Image.fromarray(frame).save(temporary)
        if self.writer is not None:
            self.writer.add_image("preview", frame, step, dataformats="HWC")
        if self.remote is not None:
            import wandb  # type: ignore[import-not-found]

            self.remote.log({"preview": wandb.Image(frame)}, step=step)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        if self.remote is not None:
            self.remote.finish()


def _wandb_run(run_dir: Path, project: str, config: Mapping[str, Any]) -> Any:
    """The run on Weights & Biases. A continued training continues it: wandb.txt holds its id."""
    try:
        import wandb  # type: ignore[import-not-found]
    except ImportError as error:
        raise UserError(
            "logging.wandb: the package wandb is not installed; install it with pip install wandb, "
            "or set logging.wandb to null"
        ) from error
    path = run_dir / "wandb.txt"
    if not path.is_file():
        with atomic_output(path) as temporary:
            temporary.write_text(secrets.token_hex(4) + "\n")
    return wandb.init(
        project=project,
        name=run_dir.name,
        id=path.read_text().strip(),
        resume="allow",
        dir=run_dir,
        config=dict(config),
    )


def preview_sheet(columns: Mapping[str, Tensor], caption: str) -> np.ndarray:
    """One uint8 picture (H, W, 3): the caption, the titles of the columns, then the samples.

    columns: pictures (N, 3, S, S) in [-1, 1] by title. Sample n of every column stands in row n.
    """
    pictures = [column.detach().float().cpu().clamp(-1, 1) for column in columns.values()]
    zoom = -(-MIN_PICTURE_SIDE // pictures[0].shape[-1])
    rows = torch.cat(list(torch.cat(pictures, dim=3)), dim=1)[None]
    grid = frame_from_image(F.interpolate(rows, scale_factor=zoom, mode="nearest"))[0]
    side = grid.shape[1] // len(columns)
    sheet = Image.new("RGB", (grid.shape[1], 2 * TEXT_HEIGHT + len(grid)), "white")
    sheet.paste(Image.fromarray(grid), (0, 2 * TEXT_HEIGHT))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    draw.text((4, 2), caption, "black", font)
    for i, title in enumerate(columns):
        draw.text((i * side + 4, TEXT_HEIGHT + 1), title, "black", font)
    return np.asarray(sheet)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        # A line that a crash cut off belongs to no step that counts.
        return 2**62
