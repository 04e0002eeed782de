"""One evaluation: from clips, weights and folders of results to the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from reenact.config import to_dict
from reenact.data.clips import ClipSet
from reenact.errors import UserError
from reenact.evaluation.clips import prepare_clips
from reenact.evaluation.measuring.frechet import windows
from reenact.evaluation.measuring.intervals import difference_intervals, mean_intervals
from reenact.evaluation.measuring.judges import Judges, load_judges
from reenact.evaluation.measuring.measure import feature_columns, measure
from reenact.evaluation.measuring.metrics import METRICS
from reenact.evaluation.measuring.records import Record, ResultFiles
from reenact.evaluation.measuring.summary import summarise
from reenact.evaluation.methods.batches import load_batches
from reenact.evaluation.methods.methods import load_reenactor
from reenact.evaluation.methods.predictions import PredictionFolder
from reenact.evaluation.pairing.pairs import (
    MODES,
    Pair,
    Video,
    list_pairs,
    pairs_csv,
    pick_examples,
    videos_of,
)
from reenact.evaluation.reporting.files import Report, check_free, place_for, write_reports
from reenact.evaluation.reporting.page import Example
from reenact.evaluation.reporting.pictures import Pictures, read_strip
from reenact.evaluation.run_config import EvalRun
from reenact.evaluation.subjects import (
    Subject,
    check_face,
    fingerprint,
    folder_subjects,
    reenactor_subject,
    short_sha256,
)
from reenact.files import make_folder
from reenact.processes import ALONE, World, wait_until


def run_evaluation(
    run: EvalRun,
    device: str = "auto",
    *,
    folder: Path | None = None,
    overwrite: bool = False,
    publish: bool = False,
) -> Report | None:
    """Load the networks and clips that `run` names, measure, and write the report.

    device: "auto" or a torch device.
    folder: the folder of the report. None: a folder in `run.output` that is named by the config
        and the content. An existing report of another run is an error, unless `overwrite`.
    publish: also write the numbers to `run.publish_to`.

    Returns the report, or None in all processes but the main one. Raises UserError or
    CheckpointError before any long work: for missing weights or clips, an unknown device, and
    outputs that cannot be written.
    """
    world = World.from_environment()
    place = world.device(device)
    for needed in (run.output, *([folder] if folder else [])):
        make_folder(needed)
    if publish and run.publish_to is None:
        raise UserError("--publish: the config has no publish_to, the file for the numbers")
    subjects, weights_sha256 = [], None
    if run.our_rows:
        reenactor, weights_sha256 = load_reenactor(run.weights, run.face, run.reenactor, str(place))
        clips = prepare_clips(run.data, reenactor.size, world)
        check_face(run, clips)
        subjects.append(reenactor_subject(run, reenactor))
    else:
        clips = prepare_clips(run.data, None, world)
    pairs = list_pairs(clips, run.pairs, run.data.num_clips)
    others, pairs = folder_subjects(run, clips, pairs, place)
    report = evaluate(
        run,
        clips,
        pairs,
        [*subjects, *others],
        load_judges(run.judges, place),
        place,
        world,
        folder=folder,
        overwrite=overwrite,
        facts={"weights_sha256": weights_sha256},
    )
    if report is not None and publish:
        assert run.publish_to is not None
        report.write_numbers(run.publish_to)
    return report


def evaluate(
    run: EvalRun,
    clips: ClipSet,
    pairs: list[Pair],
    subjects: Sequence[Subject],
    judges: Judges,
    device: torch.device,
    world: World = ALONE,
    *,
    folder: Path | None = None,
    overwrite: bool = False,
    facts: dict[str, Any] | None = None,
) -> Report | None:
    """Measure every pair that has no record yet, and write the report.

    The records of a method are in a folder that is named after everything that they depend on. A
    stopped run therefore continues, and changed settings start anew. Several processes share the
    videos. The main process waits for the others and writes the report; the others return None.
    facts: more values for the report. Raises UserError when a file cannot be written.
    """
    measured = [Measured(run, clips, subject, judges, world) for subject in subjects]
    identity = _report_id(run, [m.name for m in measured], pairs)
    target = place_for(run.output, run.label, identity) if folder is None else folder
    check_free(target, identity, overwrite)
    examples = {pair.key for pair in pick_examples(pairs, run.num_examples)}
    for one in measured:
        one.measure_missing(clips, pairs, judges, examples, world)
    if not world.is_main:
        return None
    for one in measured:
        one.wait_for(pairs)
    records = merged(measured, pairs)

    def features(part: Sequence[Record], picture: str, network: str) -> np.ndarray | None:
        owner = next((m for m in measured if picture in m.subject.rows), measured[0])
        return owner.features(part, owner.subject.rows.get(picture, picture), network)

    def clip_features(mode: str, row: str) -> tuple[Tensor, Tensor] | None:
        owner = next(m for m in measured if row in m.subject.rows)
        if owner.subject.rows[row] != "ours":
            return None
        return owner.clip_features(clips, _of_mode(pairs, mode), judges, run, device)

    summary = summarise(records, features, clip_features)
    summary["intervals"] = mean_intervals(records)
    main_row = measured[0].subject.row
    summary["differences"] = difference_intervals(records, main_row)
    worst = worst_pairs(records, pairs, main_row, run.num_worst)
    shown = {pair.key: pair for pair in [*pick_examples(pairs, run.num_examples), *worst]}
    for one in measured:
        one.draw_missing(clips, list(shown.values()))
    summary["meta"] = _meta(run, clips, pairs, measured, main_row) | (facts or {})
    summary["meta"]["id"] = identity
    by_key = {record["key"]: record for record in records}
    report = Report(
        folder=target,
        summary=summary,
        records=records,
        examples=[
            Example(
                record=by_key[key],
                frames=frames_of(measured, pair),
                is_worst=key not in examples,
            )
            for key, pair in shown.items()
        ],
        pairs=pairs_csv(pairs),
    )
    return write_reports(report, overwrite)


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
        ordered = sorted(variants, key=lambda row: row in ("copy_source", "oracle"))
        records.append(parts[0][1] | {"variants": {row: variants[row] for row in ordered}})
    return records


def worst_pairs(
    records: Sequence[Record], pairs: Sequence[Pair], row: str, count: int
) -> list[Pair]:
    """The `count` pairs of each mode with the largest errors.

    Lost faces come first. Then the perceptual distance counts, or apd without a true picture.
    """

    def error(record: Record) -> tuple[bool, float]:
        reading = record["variants"][row]
        names = ("lpips", "efflpips") if record["has_truth"] else ("apd",)
        value = next((v for name in names if (v := reading.get(name)) is not None), 0.0)
        return not reading["found"], value

    by_key = {pair.key: pair for pair in pairs}
    worst: list[Pair] = []
    for mode in MODES:
        of_mode = [record for record in records if record["mode"] == mode]
        ranked = sorted(of_mode, key=error, reverse=True)
        worst += [by_key[record["key"]] for record in ranked[:count]]
    return worst


def frames_of(measured: Sequence[Measured], pair: Pair) -> dict[str, np.ndarray]:
    """The frames that the report shows of a pair: panels, and the results by row."""
    frames: dict[str, np.ndarray] = {}
    for one in measured:
        strip = read_strip(one.pictures.strip(pair)) or {}
        for panel, frame in strip.items():
            frames.setdefault(one.subject.row if panel == "ours" else panel, frame)
    return frames


def _of_mode(pairs: Sequence[Pair], mode: str) -> list[Pair]:
    return [pair for pair in pairs if pair.mode == mode]


def _report_id(run: EvalRun, names: list[str], pairs: list[Pair]) -> str:
    """Changes with the config, the measured methods and the pairs, not with places and speed."""
    config = to_dict(run)
    for key in ("output", "publish_to", "weights", "predictions"):
        del config[key]
    del config["data"]["folder"]
    del config["reenactor"]["batch_size"]
    return short_sha256([config, names, pairs_csv(pairs)])


def _meta(
    run: EvalRun,
    clips: ClipSet,
    pairs: list[Pair],
    measured: Sequence[Measured],
    main_row: str,
) -> dict[str, Any]:
    modes = [mode for mode in MODES if _of_mode(pairs, mode)]
    videos: dict[str, list[Video]] = {mode: videos_of(_of_mode(pairs, mode)) for mode in modes}
    people = {clip.name: clip.person for clip in clips.clips}
    return {
        "config": to_dict(run),
        "label": run.label if main_row == "ours" else main_row,
        "main_row": main_row,
        "settings": {one.subject.row: one.subject.settings for one in measured},
        "num_clips": len({pair.source_clip for pair in pairs}),
        "num_people": len({people[pair.source_clip] for pair in pairs}),
        "num_pairs": {mode: len(_of_mode(pairs, mode)) for mode in modes},
        "num_videos": {mode: len(videos[mode]) for mode in modes},
        "image_size": clips.size,
        "clips_sha256": clips.fingerprint,
        "networks": run.judges.networks,
        "backbones": run.judges.backbones,
        "columns": {m.name: {"direction": m.direction, "unit": m.unit} for m in METRICS},
    }
