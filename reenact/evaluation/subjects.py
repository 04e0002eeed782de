"""What one evaluation measures: our reenactor and the result folders of other methods."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reenact.config import to_dict
from reenact.data.clips import ClipSet
from reenact.errors import UserError
from reenact.evaluation.clips import content_sha256
from reenact.evaluation.measuring.metrics import PAIR_METRICS
from reenact.evaluation.methods.methods import FolderMethod, Method, ReenactorMethod
from reenact.evaluation.methods.predictions import PredictionFolder
from reenact.evaluation.pairing.pairs import Pair, Video, videos_of
from reenact.evaluation.readers import ParamsReader, StackReader
from reenact.evaluation.run_config import EvalRun
from reenact.inference.reenactor import Reenactor
from reenact.models.weights import networks_sha256
from reenact.processes import warn

RECORD_VERSION = 10
"""Raise it when recorded numbers change, for example with the tracker or the fit of the head model.
All pairs are then measured again."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A method that is measured, and everything about it that its numbers depend on.

    row: the name of its row in the tables.
    pictures: the pictures that the method makes of each pair. "ours" is its result.
    settings: for the report. A change of the settings gives new records.
    reader: reads the face parameters from the pictures; None takes the stored ones.
    predictions: the folder of its results, where there is one.
    """

    row: str
    method: Method
    pictures: tuple[str, ...]
    settings: dict[str, Any]
    batch_size: int
    reader: ParamsReader | None = None
    predictions: Path | None = None

    @property
    def rows(self) -> dict[str, str]:
        """The rows of the tables and the picture that each row shows."""
        return {self.row if name == "ours" else name: name for name in self.pictures}


def reenactor_subject(run: EvalRun, reenactor: Reenactor) -> Subject:
    """Our reenactor with its floors and its oracle.

    The floor "warp_only" is left out, with a warning, for weights whose results have no layers.
    """
    rows = run.our_rows
    if "warp_only" in rows and not reenactor.recipe.carry_detail:
        warn("row warp_only: left out, results of these weights have no layers (carry_detail)")
        rows = tuple(row for row in rows if row != "warp_only")
    networks = reenactor.networks
    settings = {
        "networks_sha256": networks_sha256(reenactor.diffae, networks.encoder, networks.unet),
        "precision": str(reenactor.dtype).removeprefix("torch."),
        # The batch size changes the speed, not the result. The precision is resolved above.
        "reenactor": {
            name: value
            for name, value in to_dict(reenactor.config).items()
            if name not in ("batch_size", "precision")
        },
        "face": to_dict(run.face),
        "params": run.params,
        "oracle_steps": run.oracle_steps,
    }
    return Subject(
        row="ours",
        method=ReenactorMethod(reenactor, rows, run.oracle_steps),
        pictures=rows,
        settings=settings,
        batch_size=run.reenactor.batch_size,
        reader=StackReader(reenactor.face) if run.params == "tracked" else None,
    )


def folder_subjects(
    run: EvalRun, clips: ClipSet, pairs: list[Pair], device: torch.device
) -> tuple[list[Subject], list[Pair]]:
    """The methods of `run.predictions`, and the pairs that all of them show.

    All rows of a table then have the same pairs. Raises UserError when a folder has none of them.
    """
    folders = {n: PredictionFolder(root, clips.size) for n, root in run.predictions.items()}
    videos: list[Video] = videos_of(pairs)
    for folder in folders.values():
        videos = folder.present(videos)
    present = {video[0].video for video in videos}
    subjects: list[Subject] = []
    for name, folder in folders.items():
        # Without our reenactor, the first method also measures the floor.
        has_floor = "copy_source" in run.variants and not run.our_rows and not subjects
        pictures = ("ours", "copy_source") if has_floor else ("ours",)
        subject = Subject(
            row=name,
            method=FolderMethod(folder, videos, clips.by_name, pictures, device),
            pictures=pictures,
            settings={"folder_sha256": _folder_sha256(folder.root)},
            batch_size=run.reenactor.batch_size,
            predictions=folder.root,
        )
        subjects.append(subject)
    return subjects, [pair for pair in pairs if pair.video in present]


def fingerprint(run: EvalRun, clips: ClipSet, subject: Subject) -> str:
    """Twelve letters that change with everything that the records of the subject depend on."""
    judges = {k: v for k, v in to_dict(run.judges).items() if k not in ("i3d", "fvd_frames")}
    parts = {
        "version": RECORD_VERSION,
        "metrics": [metric.name for metric in PAIR_METRICS],
        "clips": content_sha256(clips),
        "judges": judges,
        "pictures": subject.pictures,
        "settings": subject.settings,
    }
    return short_sha256(parts)


def short_sha256(parts: Any) -> str:
    """Twelve letters that change with the parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def check_face(run: EvalRun, clips: ClipSet) -> None:
    """Raises UserError when the stored parameters are those of the other face stack."""
    face = run.face.name
    if run.params == "stored" and clips.face != face:
        raise UserError(
            f"{clips.root}: its parameters are the {clips.face} face stack's, the weights need the "
            f"{face} one's; prepare the clips with that stack, or set params to tracked"
        )


def _folder_sha256(folder: Path) -> str:
    """Changes when a file of the folder is replaced."""
    states = [
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()
