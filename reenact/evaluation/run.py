"""One evaluation: from clips, weights and folders of results to the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.config import to_dict
from reenact.data.clips import ClipSet
from reenact.errors import UserError
from reenact.evaluation.clips import prepare_clips
from reenact.evaluation.measured import Measured, frames_of, merged
from reenact.evaluation.measuring.intervals import difference_intervals, mean_intervals
from reenact.evaluation.measuring.judges import Judges, load_judges
from reenact.evaluation.measuring.metrics import METRICS
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.measuring.summary import summarise
from reenact.evaluation.methods.methods import load_reenactor
from reenact.evaluation.methods.predictions import check_predictions
from reenact.evaluation.pairing.lists import read_rows
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
from reenact.evaluation.reporting.films import make_film, pick_films
from reenact.evaluation.reporting.page import Example
from reenact.evaluation.run_config import EvalRun
from reenact.evaluation.subjects import (
    Subject,
    check_face,
    folder_subjects,
    reenactor_subject,
    short_sha256,
)
from reenact.files import make_folder
from reenact.processes import ALONE, World


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
    # All inputs are checked before clips are generated, which takes minutes.
    for predictions in run.predictions.values():
        check_predictions(predictions)
    if run.pairs.list is not None:
        read_rows(run.pairs.list)
    judges = load_judges(run.judges, place)
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
        judges,
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
    main_row = subjects[0].row
    label = run.label if main_row == "ours" else main_row
    target = place_for(run.output, label, identity) if folder is None else folder
    check_free(target, identity, overwrite)
    examples = pick_examples(pairs, run.num_examples)
    filmed = pick_films(pairs, run.num_videos)
    keys = {pair.key for shown in (examples, *filmed) for pair in shown}
    for one in measured:
        one.measure_missing(clips, pairs, judges, keys, world)
    if not world.is_main:
        return None
    for one in measured:
        one.wait_for(pairs)
    records = merged(measured, pairs)
    summary = _summary(run, clips, pairs, measured, records, judges, device)
    summary["differences"] = difference_intervals(records, main_row)
    worst = worst_pairs(records, pairs, main_row, run.num_worst)
    for one in measured:
        one.draw_missing(clips, [*examples, *worst, *(pair for video in filmed for pair in video)])
    names = {"id": identity, "label": label, "main_row": main_row}
    summary["meta"] = names | _meta(run, clips, pairs, subjects) | (facts or {})
    by_key = {record["key"]: record for record in records}
    report = Report(
        folder=target,
        summary=summary,
        records=records,
        examples=[
            Example(record=by_key[pair.key], frames=frames_of(measured, pair), is_worst=is_worst)
            for is_worst, shown in ((False, examples), (True, worst))
            for pair in shown
        ],
        films=[
            make_film(
                video, [frames_of(measured, pair) for pair in video], {"ours": label}, clips.fps
            )
            for video in filmed
        ],
        pairs=pairs_csv(pairs),
    )
    return write_reports(report, overwrite)


def _summary(
    run: EvalRun,
    clips: ClipSet,
    pairs: list[Pair],
    measured: list[Measured],
    records: list[Record],
    judges: Judges,
    device: torch.device,
) -> dict[str, Any]:
    """The means of all rows, with their confidence intervals."""

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
    return summary


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
    run: EvalRun, clips: ClipSet, pairs: list[Pair], subjects: Sequence[Subject]
) -> dict[str, Any]:
    modes = [mode for mode in MODES if _of_mode(pairs, mode)]
    videos: dict[str, list[Video]] = {mode: videos_of(_of_mode(pairs, mode)) for mode in modes}
    people = {clip.name: clip.person for clip in clips.clips}
    return {
        "config": to_dict(run),
        "settings": {subject.row: subject.settings for subject in subjects},
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
