"""One evaluation from clips and weights to the reports."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.config import to_dict
from reenact.device import pick_device
from reenact.errors import UserError
from reenact.evaluation.measure import Judges, measure
from reenact.evaluation.pairs import MODES, Clip, Pair, list_pairs, pick_examples, read_clips
from reenact.evaluation.render import StateCache, load_batches, panels, render_variants
from reenact.evaluation.report import read_strip, write_reports, write_strip
from reenact.evaluation.run_config import ClipsConfig, EvalRun
from reenact.evaluation.summary import COLUMNS, Record, RecordFile, summarise
from reenact.files import check_input_file
from reenact.inference.reenactor import Reenactor

# Part of the name of the record file: raise it when the meaning of a recorded number changes.
RECORD_VERSION = 1


def run_evaluation(run: EvalRun, device: str = "auto") -> dict[str, Any]:
    """Loads the networks and clips that `run` names and evaluates; returns the summary.

    device: "auto" or a torch device. Raises UserError or CheckpointError, before any long work, for
    missing weights or clips, an unknown device or an output that cannot be written.
    """
    # These bring networks and video code along; the rest of this module works without them.
    from reenact.evaluation.tracker_reader import TrackerReader
    from reenact.face.open_stack import OpenFaceStack
    from reenact.models.checkpoint import load_reenactor
    from reenact.models.perceptual import PerceptualNet

    place = pick_device(device)
    path = asset_path(EMBEDDED_WEIGHTS) if run.weights is None else check_input_file(run.weights)
    weights = load_reenactor(path, place)
    for folder in (run.output, run.json_path.parent):
        _make_folder(folder)
    clips = prepare_clips(run.data, weights.diffae.config.image_size)
    face = OpenFaceStack(place)
    judges = Judges(reader=TrackerReader(place), perceptual=PerceptualNet().to(place))
    return evaluate(run, clips, Reenactor(weights, face, run.reenactor), judges, sha256_of(path))


def prepare_clips(config: ClipsConfig, image_size: int) -> dict[str, Clip]:
    """The test clips of the folder, at least `num_clips`: those that are missing are generated.

    Raises UserError when the folder holds clips of another size.
    """
    manifest = config.folder / "manifest.json"
    clips = read_clips(config.folder) if manifest.is_file() else {}
    if len(clips) < config.num_clips:
        from reenact.data.synthetic.clips import SyntheticConfig
        from reenact.data.synthetic.generate import generate

        print(f"generating {config.num_clips} test clips in {config.folder}", file=sys.stderr)
        try:
            settings = SyntheticConfig(
                out=config.folder,
                clips=config.num_clips,
                frames=config.frames,
                size=image_size,
                split="test",
                seed=config.seed,
                workers=config.num_workers,
                cross=config.cross,
            )
            generate(settings, progress=True)
        except ValueError as error:
            raise UserError(f"{config.folder}: {error}") from error
        except OSError as error:
            raise UserError(f"{config.folder}: cannot write ({error.strerror})") from error
        clips = read_clips(config.folder)
    size = next(iter(clips.values())).frames.shape[1]
    if size != image_size:
        raise UserError(
            f"{config.folder}: clips of {size} pixels, but the weights make {image_size}; "
            "set data.folder to another folder"
        )
    return clips


def evaluate(
    run: EvalRun, clips: dict[str, Clip], reenactor: Reenactor, judges: Judges, weights_sha256: str
) -> dict[str, Any]:
    """Measures every pair that has no record yet, writes the reports, returns the summary.

    Records are kept in `run.output` in a file named after everything that they depend on, so a
    broken run goes on and a changed one starts anew. Raises UserError when nothing can be written.
    """
    pairs = list_pairs(clips, run.pairs, run.data.num_clips)
    examples = {pair.key for pair in pick_examples(pairs, run.num_examples)}
    name = _fingerprint(run, clips, weights_sha256)
    pictures = run.output / f"pictures-{name}"
    _make_folder(pictures)
    file = RecordFile(run.output / f"records-{name}.jsonl")
    records = file.read()
    paths = {
        key: pictures / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.png" for key in examples
    }
    todo = [
        pair
        for pair in pairs
        if pair.key not in records or (pair.key in paths and read_strip(paths[pair.key]) is None)
    ]
    # Pairs of one source stand together, so that each source is inverted once.
    todo.sort(key=lambda pair: (pair.source_clip, pair.source_frame, pair))
    states, batch_size = StateCache(reenactor), reenactor.config.batch_size
    with tqdm(total=len(pairs), initial=len(pairs) - len(todo), unit="pair", desc="eval") as bar:
        for batch in load_batches(todo, clips, batch_size, run.params, judges.reader):
            images = render_variants(batch, reenactor, states, run.oracle_steps)
            measured = measure(batch, images, clips, judges)
            for i, pair in enumerate(batch.pairs):
                if pair.key in paths:
                    write_strip(paths[pair.key], panels(batch, images, i))
            file.append(measured)
            records |= {record["key"]: record for record in measured}
            bar.update(len(batch.pairs))
    chosen = [records[pair.key] for pair in pairs]
    summary = summarise(chosen) | {"meta": _meta(run, clips, pairs, weights_sha256)}
    rows = [
        (_caption(records[pair.key]), frames)
        for pair in pairs
        if pair.key in paths and (frames := read_strip(paths[pair.key])) is not None
    ]
    write_reports(run.output, summary, chosen, rows, run.json_path)
    return summary


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _caption(record: Record) -> str:
    ours, copy = record["variants"]["ours"], record["variants"]["copy_source"]
    return (
        f"{record['mode']}, yaw changes by {record['yaw_change_deg']:.0f}°, "
        f"l1 {ours['l1']:.3f} (copy_source {copy['l1']:.3f})"
    )


def _fingerprint(run: EvalRun, clips: dict[str, Clip], weights_sha256: str) -> str:
    """Twelve letters that change with everything a record depends on."""
    manifest = next(iter(clips.values())).folder.parent / "manifest.json"
    parts = {
        "version": RECORD_VERSION,
        "weights": weights_sha256,
        "clips": sha256_of(manifest),
        "params": run.params,
        "oracle_steps": run.oracle_steps,
        # The batch size changes speed, not results.
        "reenactor": {k: v for k, v in to_dict(run.reenactor).items() if k != "batch_size"},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _meta(
    run: EvalRun, clips: dict[str, Clip], pairs: list[Pair], weights_sha256: str
) -> dict[str, Any]:
    return {
        "config": to_dict(run),
        "num_clips": len({pair.source_clip for pair in pairs}),
        "num_pairs": {mode: sum(pair.mode == mode for pair in pairs) for mode in MODES},
        "image_size": int(next(iter(clips.values())).frames.shape[1]),
        "weights_sha256": weights_sha256,
        "columns": {c.name: {"direction": c.direction, "unit": c.unit} for c in COLUMNS},
    }


def _make_folder(folder: Path) -> None:
    """Creates a folder and proves that it can be written to. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write there ({error.strerror}), choose another output"
        ) from None
