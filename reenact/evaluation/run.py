"""One evaluation from clips and weights, or a folder of results, to the reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from reenact.evaluation.measuring.judges import Judges, load_judges
from reenact.evaluation.measuring.measure import feature_columns, measure
from reenact.evaluation.measuring.metrics import METRICS, PAIR_METRICS
from reenact.evaluation.measuring.records import Record, ResultFiles
from reenact.evaluation.measuring.summary import ClipFeatures, summarise
from reenact.evaluation.methods.batches import load_batches
from reenact.evaluation.methods.methods import (
    FolderMethod,
    Method,
    ReenactorMethod,
    load_reenactor,
)
from reenact.evaluation.methods.predictions import PredictionFolder
from reenact.evaluation.pairing.pairs import (
    MODES,
    Pair,
    Video,
    list_pairs,
    pairs_csv,
    videos_of,
)
from reenact.evaluation.readers import ParamsReader, StackReader
from reenact.evaluation.reporting.files import Example, write_reports
from reenact.evaluation.reporting.pictures import OutputPictures, read_strip
from reenact.evaluation.run_config import EvalRun
from reenact.files import make_folder
from reenact.inference.config import ReenactorConfig
from reenact.processes import ALONE, World, wait_until

# Part of the name of the record file: raise it when the meaning of a recorded number changes.
RECORD_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured.

    sha256: changes with the weights, or with the folder of results.
    reader: gives the faces' parameters; None takes the stored ones.
    reenactor: the settings of the rendering, complete; None for a folder of results.
    """

    method: Method
    batch_size: int
    sha256: str
    reader: ParamsReader | None = None
    reenactor: ReenactorConfig | None = None


def run_evaluation(run: EvalRun, device: str = "auto") -> dict[str, Any] | None:
    """Loads the networks and clips that `run` names and evaluates.

    device: "auto" or a torch device. Returns the summary, or None in all processes but the first
    (see `World`). Raises UserError or CheckpointError, before any long work, for missing weights or
    clips, an unknown device or an output that cannot be written.
    """
    world = World.from_environment()
    place = world.device(device)
    for folder in (run.output, run.json_path.parent):
        make_folder(folder)
    prepare = _reenactor_subject if run.predictions is None else _folder_subject
    clips, pairs, subject = prepare(run, place, world)
    if subject.reenactor is not None:
        run = replace(run, reenactor=subject.reenactor)
    return evaluate(run, clips, pairs, subject, load_judges(run.judges, place), place, world)


def _reenactor_subject(
    run: EvalRun, device: torch.device, world: World
) -> tuple[ClipSet, list[Pair], Subject]:
    reenactor, sha256 = load_reenactor(run.weights, run.face, run.reenactor, str(device))
    clips = prepare_clips(run.data, reenactor.size, world)
    _check_face(run, clips)
    reader: ParamsReader | None = None
    if run.params == "tracked":
        reader = StackReader(reenactor.face)
    subject = Subject(
        method=ReenactorMethod(reenactor, run.shown_variants, run.oracle_steps),
        batch_size=run.reenactor.batch_size,
        sha256=sha256,
        reader=reader,
        reenactor=reenactor.config,
    )
    return clips, list_pairs(clips, run.pairs, run.data.num_clips), subject


def _folder_subject(
    run: EvalRun, device: torch.device, world: World
) -> tuple[ClipSet, list[Pair], Subject]:
    assert run.predictions is not None
    clips = prepare_clips(run.data, None, world)
    folder = PredictionFolder(run.predictions, clips.size)
    pairs = list_pairs(clips, run.pairs, run.data.num_clips)
    videos = folder.present(videos_of(pairs))
    present = {video[0].video for video in videos}
    subject = Subject(
        method=FolderMethod(folder, videos, clips.by_name, run.shown_variants, device),
        batch_size=run.reenactor.batch_size,
        sha256=_folder_sha256(run.predictions),
    )
    return clips, [pair for pair in pairs if pair.video in present], subject


def evaluate(
    run: EvalRun,
    clips: ClipSet,
    pairs: list[Pair],
    subject: Subject,
    judges: Judges,
    device: torch.device,
    world: World = ALONE,
) -> dict[str, Any] | None:
    """Measures every pair that has no record yet, writes the reports, returns the summary.

    Results are kept in `run.output` in files named after everything that they depend on, so a
    broken run goes on and a changed one starts anew. Several processes share the videos; the first
    one waits for the others and reports, the others return None. Raises UserError when nothing can
    be written.
    """
    name = _fingerprint(run, clips, subject.sha256)
    pictures = OutputPictures(run.output, name, pairs, run.num_examples, run.keeps_predictions)
    columns = feature_columns(run.shown_variants, judges.widths)
    width = max(column.stop for column in columns.values())
    files = ResultFiles(run.output, name, width, world.rank)
    _measure_missing(clips, pairs, subject, judges, pictures, files, world)
    if not world.is_main:
        return None
    keys = {pair.key for pair in pairs}
    wait_until(lambda: files.count() >= len(keys) and keys <= files.read().keys())
    records = files.read()
    chosen = [records[pair.key] for pair in pairs]

    def features(part: Sequence[Record], picture: str, network: str) -> np.ndarray | None:
        column = columns.get((picture, network))
        return None if column is None else files.features(part, column)

    summary = summarise(
        chosen, features, clip_features(run, clips, pairs, judges, pictures, device)
    )
    summary["meta"] = _meta(run, clips, pairs, subject)
    examples = [
        Example(record=records[pair.key], frames=frames)
        for pair in pairs
        if pair.key in pictures.strips and (frames := read_strip(pictures.strips[pair.key]))
    ]
    write_reports(run.output, run.json_path, summary, chosen, examples, pairs_csv(pairs))
    return summary


def _measure_missing(
    clips: ClipSet,
    pairs: list[Pair],
    subject: Subject,
    judges: Judges,
    pictures: OutputPictures,
    files: ResultFiles,
    world: World,
) -> None:
    """This process's share of the videos; pictures are on disk before their records."""
    known = files.read()
    mine = world.part(videos_of(pairs))
    todo = [[p for p in video if p.key not in known or pictures.lacks(p)] for video in mine]
    count, left = sum(map(len, mine)), sum(map(len, todo))
    with tqdm(
        total=count, initial=count - left, unit="pair", desc="eval", disable=not world.is_main
    ) as bar:
        for batch in load_batches(todo, clips.by_name, subject.batch_size, subject.reader):
            images = subject.method.render(batch)
            records, features = measure(batch, images, clips.by_name, judges)
            pictures.write(batch, images)
            files.append(records, features)
            bar.update(len(records))


def clip_features(
    run: EvalRun,
    clips: ClipSet,
    pairs: list[Pair],
    judges: Judges,
    pictures: OutputPictures,
    device: torch.device,
) -> ClipFeatures:
    """I3D features of the result's videos and of the true ones, from the folder of results."""

    def features(mode: str, variant: str) -> tuple[Tensor, Tensor] | None:
        # Cross pairs are left out: not every frame of their target has a true picture.
        if judges.i3d is None or variant != "ours" or mode == "cross":
            return None
        root = run.predictions or pictures.predictions
        assert root is not None
        folder = PredictionFolder(root, clips.size)
        parts: tuple[list[Tensor], list[Tensor]] = ([], [])
        for video in _of_mode(videos_of(pairs), mode):
            target = clips.by_name[video[0].target_clip]
            predictions = folder.frames(video, target.num_frames)
            references = [target.frame(pair.reference) for pair in video]
            for part, frames in zip(parts, (predictions, references), strict=True):
                for window in windows(frames, run.judges.fvd_frames):
                    with torch.inference_mode():
                        part.append(judges.i3d(window.to(device)).float().cpu())
        return (torch.cat(parts[0]), torch.cat(parts[1])) if parts[0] else None

    return features


def _of_mode(videos: Sequence[Video], mode: str) -> list[Video]:
    return [video for video in videos if video[0].mode == mode]


def _check_face(run: EvalRun, clips: ClipSet) -> None:
    face = run.face.name
    if run.params == "stored" and clips.face != face:
        raise UserError(
            f"{clips.root}: its parameters are the {clips.face} face stack's, the weights need the "
            f"{face} one's; prepare the clips with that stack, or set params to tracked"
        )


def _fingerprint(run: EvalRun, clips: ClipSet, sha256: str) -> str:
    """Twelve letters that change with everything a record depends on."""
    parts = {
        "version": RECORD_VERSION,
        "subject": sha256,
        "clips": clips.fingerprint,
        "params": run.params,
        "variants": run.shown_variants,
        "oracle_steps": run.oracle_steps,
        "metrics": [metric.name for metric in PAIR_METRICS],
        "judges": {k: v for k, v in to_dict(run.judges).items() if k not in ("i3d", "fvd_frames")},
        "face": to_dict(run.face),
        # The batch size changes speed, not results.
        "reenactor": {k: v for k, v in to_dict(run.reenactor).items() if k != "batch_size"},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _folder_sha256(folder: Path) -> str:
    """Changes when a file of the folder is replaced."""
    states = [
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _meta(run: EvalRun, clips: ClipSet, pairs: list[Pair], subject: Subject) -> dict[str, Any]:
    modes = [mode for mode in MODES if any(pair.mode == mode for pair in pairs)]
    return {
        "config": to_dict(run),
        "label": run.label,
        "num_clips": len({pair.source_clip for pair in pairs}),
        "num_pairs": {mode: sum(pair.mode == mode for pair in pairs) for mode in modes},
        "num_videos": {mode: len(_of_mode(videos_of(pairs), mode)) for mode in modes},
        "image_size": clips.size,
        "weights_sha256": None if run.predictions else subject.sha256,
        "clips_sha256": clips.fingerprint,
        "backbones": run.judges.backbones,
        "columns": {c.name: {"direction": c.direction, "unit": c.unit} for c in METRICS},
    }
