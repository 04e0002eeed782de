"""What is stored of each measured method, and how the methods come together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from reenact.data.clips import ClipSet
from reenact.evaluation.measuring.frechet import windows
from reenact.evaluation.measuring.judges import Judges
from reenact.evaluation.measuring.measure import feature_columns, measure
from reenact.evaluation.measuring.records import Record, ResultFiles
from reenact.evaluation.methods.batches import load_batches
from reenact.evaluation.methods.predictions import PredictionFolder
from reenact.evaluation.pairing.pairs import Pair, videos_of
from reenact.evaluation.reporting.pictures import Pictures, read_strip
from reenact.evaluation.reporting.tables import REFERENCE_ROWS
from reenact.evaluation.run_config import EvalRun
from reenact.evaluation.subjects import Subject, fingerprint
from reenact.processes import World, wait_until


class Measured:
    """One method and its folder of records, features and pictures."""

    def __init__(
        self, run: EvalRun, clips: ClipSet, subject: Subject, judges: Judges, world: World
    ) -> None:
        self.subject = subject
        self.name = f"{subject.row}-{fingerprint(run, clips, subject)}"
        self.folder = run.output / "measured" / self.name
        keeps_all = run.keeps_predictions and subject.predictions is None
        self.pictures = Pictures(self.folder, keeps_all)
        self.predictions = subject.predictions or self.pictures.predictions
        self.columns = feature_columns(list(subject.pictures), judges.widths)
        width = max(column.stop for column in self.columns.values())
        self.files = ResultFiles(self.folder, width, world.rank)
        self.records: dict[str, Record] = {}

    def measure_missing(
        self, clips: ClipSet, pairs: list[Pair], judges: Judges, shown: set[str], world: World
    ) -> None:
        """Measure this process's part of the videos. Pictures are written before their records."""
        known = self.files.read()
        mine = world.part(videos_of(pairs))
        todo = [
            [p for p in v if p.key not in known or self.pictures.lacks(p, p.key in shown)]
            for v in mine
        ]
        count, left = sum(map(len, mine)), sum(map(len, todo))
        subject = self.subject
        with tqdm(
            total=count,
            initial=count - left,
            unit="pair",
            desc=subject.row,
            disable=not world.is_main,
        ) as bar:
            for batch in load_batches(todo, clips.by_name, subject.batch_size, subject.reader):
                images = subject.method.render(batch)
                records, features = measure(batch, images, clips.by_name, judges)
                self.pictures.write(batch, images, shown)
                self.files.append(records, features)
                bar.update(len(records))

    def wait_for(self, pairs: list[Pair]) -> None:
        """Wait until all processes have measured their part, then read the records."""
        keys = {pair.key for pair in pairs}
        wait_until(lambda: self.files.count() >= len(keys) and keys <= self.files.read().keys())
        self.records = self.files.read()

    def features(self, records: Sequence[Record], picture: str, network: str) -> np.ndarray | None:
        """Features (N, D) of a picture of this method, or of the reference; None without them."""
        column = self.columns.get((picture, network))
        own = [self.records[record["key"]] for record in records]
        return None if column is None else self.files.features(own, column)

    def clip_features(
        self,
        clips: ClipSet,
        pairs: list[Pair],
        judges: Judges,
        run: EvalRun,
        device: torch.device,
    ) -> tuple[Tensor, Tensor] | None:
        """I3D features of the results and of the true videos, from whole windows of frames."""
        # Cross pairs are left out: not every frame of their target has a true picture.
        if judges.i3d is None or self.predictions is None or pairs[0].mode == "cross":
            return None
        folder = PredictionFolder(self.predictions, clips.size)
        parts: tuple[list[Tensor], list[Tensor]] = ([], [])
        for video in videos_of(pairs):
            target = clips.by_name[video[0].target_clip]
            predictions = folder.frames(video, target.num_frames)
            references = [target.frame(pair.reference) for pair in video]
            for part, frames in zip(parts, (predictions, references), strict=True):
                for window in windows(frames, run.judges.fvd_frames):
                    with torch.inference_mode():
                        part.append(judges.i3d(window.to(device)).float().cpu())
        return (torch.cat(parts[0]), torch.cat(parts[1])) if parts[0] else None

    def draw_missing(self, clips: ClipSet, pairs: list[Pair]) -> None:
        """Write the strips of these pairs that are not there yet, without measuring again."""
        missing = [pair for pair in pairs if read_strip(self.pictures.strip(pair)) is None]
        subject = self.subject
        videos = videos_of(missing)
        for batch in load_batches(videos, clips.by_name, subject.batch_size, subject.reader):
            images = subject.method.render(batch)
            # Not the results: in another batch they can differ in rounding from the measured ones.
            self.pictures.write_strips(batch, images, {pair.key for pair in batch.pairs})


def merged(measured: Sequence[Measured], pairs: Sequence[Pair]) -> list[Record]:
    """One record for each pair, with the rows of all methods; the methods come first."""
    records = []
    for pair in pairs:
        parts = [(one.subject.rows, one.records[pair.key]) for one in measured]
        variants = {
            row: record["variants"][picture]
            for rows, record in parts
            for row, picture in rows.items()
        }
        ordered = sorted(variants, key=lambda row: row in REFERENCE_ROWS)
        records.append(parts[0][1] | {"variants": {row: variants[row] for row in ordered}})
    return records


def frames_of(measured: Sequence[Measured], pair: Pair) -> dict[str, np.ndarray]:
    """The frames that the report shows of a pair: panels, and the results by row."""
    frames: dict[str, np.ndarray] = {}
    for one in measured:
        strip = read_strip(one.pictures.strip(pair)) or {}
        for panel, frame in strip.items():
            frames.setdefault(one.subject.row if panel == "ours" else panel, frame)
    return frames
