"""The output folder of a run, and the pictures in it."""

import hashlib
from pathlib import Path

import torch

from reenact.errors import UserError
from reenact.evaluation.pairs import Pair, pick_examples
from reenact.evaluation.predictions import picture_path, write_prediction
from reenact.evaluation.render import Batch, panels
from reenact.evaluation.run_config import EvalRun
from reenact.evaluation.sheet import read_strip, write_strip
from reenact.files import atomic_output
from reenact.media.images import frame_from_image


class OutputPictures:
    """The examples that are shown, by key of their pair, and where asked for all results."""

    def __init__(self, output: Path, name: str, pairs: list[Pair], run: EvalRun) -> None:
        strips = output / f"pictures-{name}"
        make_folder(strips)
        self.strips = {
            pair.key: strips / f"{hashlib.sha256(pair.key.encode()).hexdigest()[:16]}.png"
            for pair in pick_examples(pairs, run.num_examples)
        }
        self.predictions = output / f"predictions-{name}" if run.keeps_predictions else None

    def lacks(self, pair: Pair) -> bool:
        """Whether a picture of this pair is still to be written."""
        if pair.key in self.strips and read_strip(self.strips[pair.key]) is None:
            return True
        return self.predictions is not None and not picture_path(self.predictions, pair).is_file()

    def write(self, batch: Batch, images: dict[str, torch.Tensor]) -> None:
        for i, pair in enumerate(batch.pairs):
            if pair.key in self.strips:
                write_strip(self.strips[pair.key], panels(batch, images, i))
        if self.predictions is not None:
            frames = frame_from_image(images["ours"])
            for pair, frame in zip(batch.pairs, frames, strict=True):
                write_prediction(self.predictions, pair, frame)


def make_folder(folder: Path) -> None:
    """Creates a folder and proves that it can be written to. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_output(folder / ".probe") as probe:
            probe.write_bytes(b"")
        (folder / ".probe").unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write there ({error.strerror}), choose another output"
        ) from None
