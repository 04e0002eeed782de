"""Writes clips of synthetic talking heads to a folder; see `generate` for the files."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from reenact.data.synthetic.clips import (
    ClipPlan,
    SyntheticConfig,
    clip_name,
    cross_targets,
    person_seed,
    plan_clip,
)
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import Stage, draw_frame, draw_photo, make_stage, see_first
from reenact.data.synthetic.surface_truth import FirstView
from reenact.errors import UserError
from reenact.face.params import FaceParams, retarget
from reenact.files import atomic_output, make_folder

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

CROSS_SHOT = 100_000
"""Number of the first shot of the cross frames. The shot seeds the camera's noise."""


def _save_frames(
    folder: Path,
    prefix: str,
    config: SyntheticConfig,
    renderer: Renderer,
    stage: Stage,
    params: FaceParams,
    crops: Sequence[np.ndarray],
    first_shot: int,
    first: FirstView | None,
) -> None:
    """Draw N frames and save them with their masks as `<prefix>frames.npy` and so on."""
    arrays: dict[str, list[np.ndarray]] = {}
    for n, crop in enumerate(crops):
        frame, masks = draw_frame(
            renderer,
            stage,
            params[n],
            crop,
            config.size,
            shot=first_shot + n,
            moment=0 if prefix else n,
            first=first,
        )
        drawn = {"frames": frame, "masks": masks.face, "foreground": masks.foreground}
        if config.layers:
            plate = renderer.developed_plate(
                stage.background, stage.light, crop, config.size, stage.camera
            )
            drawn |= {"hair": masks.hair, "head": masks.head, "plate": plate}
            drawn["occluder"] = masks.occluder
            assert masks.surface is not None, "layers have a first view"
            drawn |= {"normals": masks.surface.normals, "hidden": masks.surface.hidden}
        for name, array in drawn.items():
            arrays.setdefault(name, []).append(array)
    for name, parts in arrays.items():
        np.save(folder / f"{prefix}{name}.npy", np.stack(parts))


def _save_photo(
    folder: Path, config: SyntheticConfig, renderer: Renderer, stage: Stage, plan: ClipPlan
) -> None:
    """Draw `photo.npy` around the stored frame 0."""
    frame, alpha = (
        np.load(folder / f"{n}.npy", mmap_mode="r")[0] for n in ("frames", "foreground")
    )
    middle = np.concatenate([frame, alpha[..., None]], -1)
    photo = draw_photo(renderer, stage, plan, config.size, middle)
    with atomic_output(folder / "photo.npy") as temporary, temporary.open("wb") as file:
        np.save(file, photo)


def _write_cross(
    folder: Path,
    config: SyntheticConfig,
    plan: ClipPlan,
    stage: Stage,
    renderer: Renderer,
    targets: Sequence[tuple[int, int]],
    first: FirstView | None,
) -> None:
    """Draw and save the cross frames: this person with the motion of frames of other clips.

    All of them are seen through the clip's first crop.
    """
    records, parts = [], []
    plans: dict[int, ClipPlan] = {}
    for clip, frame in targets:
        if clip not in plans:
            plans[clip] = plan_clip(config, clip, renderer.asset)
        parts.append(plans[clip].params[frame])
        name = clip_name(config, clip)
        records.append({"source_frame": 0, "target_clip": name, "target_frame": frame})
    if parts:
        params = retarget(plan.params[0], FaceParams.cat(parts))
        crops = [plan.crop_from_frame[0]] * len(parts)
        _save_frames(folder, "cross_", config, renderer, stage, params, crops, CROSS_SHOT, first)
        np.savez(folder / "cross_params.npz", **params.numpy())  # type: ignore[arg-type]
    (folder / "cross.json").write_text(json.dumps(records))


def write_clip(
    config: SyntheticConfig,
    index: int,
    renderer: Renderer,
    targets: Sequence[tuple[int, int]] | None = None,
) -> bool:
    """Write clip `index` and say whether it was drawn.

    If the folder of the clip exists, only a missing photo is added. Otherwise the folder appears
    complete or not at all, because it is written under another name and then renamed.

    targets: (clip, frame) whose motion the cross frames take; None = those of `cross_targets`.
    """
    final = config.out / clip_name(config, index)
    if final.is_dir():
        if not (final / "photo.npy").is_file():
            plan = plan_clip(config, index, renderer.asset)
            stage = make_stage(config, plan, index, renderer.asset)
            _save_photo(final, config, renderer, stage, plan)
        return False
    folder = final.with_name(f"{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = plan_clip(config, index, renderer.asset)
    stage = make_stage(config, plan, index, renderer.asset)
    crops = list(plan.crop_from_frame)
    first = see_first(renderer, stage, plan, config.size) if config.layers else None
    _save_frames(folder, "", config, renderer, stage, plan.params, crops, 0, first)
    _save_photo(folder, config, renderer, stage, plan)
    about = {
        "landmarks": plan.landmarks,
        "pupils": plan.pupils,
        "crop_from_frame": plan.crop_from_frame,
        "person_seed": np.array(plan.person_seed),
        "code_rows": np.array(plan.identity.rows),
        "description": np.array(stage.person.description),
    }
    np.savez(folder / "params.npz", **plan.params.numpy(), **about)  # type: ignore[arg-type]
    if targets is None:
        targets = cross_targets(config, index)
    _write_cross(folder, config, plan, stage, renderer, targets, first)
    try:
        folder.rename(final)
    except OSError:
        # Another process finished the same clip first.
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


def write_manifest(config: SyntheticConfig) -> Path:
    """List the finished clips of this run and of the other splits in the folder.

    Raises UserError when the folder holds clips of another size, seed or number of frames, or a
    damaged manifest.
    """
    path = config.out / "manifest.json"
    size, listed = config.size, dict[str, dict[str, Any]]()
    if path.exists():
        try:
            old = json.loads(path.read_text())
            listed = {clip["name"]: clip for clip in old["clips"]}
            size = old["size"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: damaged, delete it (the next run lists the clips again)"
            ) from error
    if size != config.size:
        raise UserError(
            f"{path}: clips of size {size}, asked for {config.size}; choose another folder"
        )
    for index in range(config.clips):
        name = clip_name(config, index)
        clip = {
            "name": name,
            "split": config.split,
            "frames": config.frames,
            "person": person_seed(config, index),
        }
        if name in listed and listed[name] != clip:
            raise UserError(
                f"{config.out}: holds the clip {name} of another seed or number of frames, "
                "choose another folder"
            )
        if (config.out / name).is_dir():
            listed[name] = clip
    manifest = {
        "size": config.size,
        "fps": config.fps,
        "stride": config.stride,
        "clips": [listed[name] for name in sorted(listed)],
    }
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=0))
    return path


_worker: tuple[SyntheticConfig, Renderer] | None = None


def _start_worker(config: SyntheticConfig) -> None:
    global _worker
    import torch

    torch.set_num_threads(1)
    _worker = (config, Renderer())


def _work(index: int) -> int:
    assert _worker is not None
    config, renderer = _worker
    write_clip(config, index, renderer)
    return index


def _draw(config: SyntheticConfig, indices: Sequence[int]) -> Iterator[int]:
    """Write the clips, yielding each finished index."""
    if config.workers == 1 or len(indices) < 2:
        renderer = Renderer()
        for index in indices:
            write_clip(config, index, renderer)
            yield index
        return
    # Workers inherit the environment: one thread each.
    saved = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    context = multiprocessing.get_context("spawn")
    try:
        with context.Pool(config.workers, _start_worker, (config,)) as pool:
            yield from pool.imap_unordered(_work, indices)
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def generate(config: SyntheticConfig, progress: bool = False) -> Path:
    """Write the missing clips and the manifest, and return the manifest's path.

    A clip folder holds these files. All pictures are uint8, and normals are int8:

    frames.npy: (N, S, S, 3).
    masks.npy, foreground.npy: (N, S, S), the face and the whole person.
    photo.npy: (2 S, 2 S, 4), the picture around frame 0 with the person's alpha.
    params.npz: the arrays of FaceParams in crop pixels, landmarks (N, 68, 2), pupils (N, 2, 2) and
        crop_from_frame (N, 3, 3).
    cross_frames.npy, cross_masks.npy, cross_foreground.npy, cross_params.npz, cross.json: the cross
        frames.
    hair.npy, head.npy, occluder.npy, hidden.npy: (N, S, S). plate.npy, normals.npy: (N, S, S, 3).
        Only with `layers`, and also with cross_ before their names; see docs/synthetic.md.

    The manifest is renewed while the run goes on, so finished clips can be used at once. A clip
    depends on (seed, split, index) alone. Its cross frames also depend on the number of clips.
    """
    make_folder(config.out)
    for leftover in config.out.glob(f"{config.split}_*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    write_manifest(config)
    names = [clip_name(config, i) for i in range(config.clips)]
    missing = [i for i, n in enumerate(names) if not (config.out / n / "photo.npy").is_file()]
    start = last = time.monotonic()
    for done, _ in enumerate(_draw(config, missing), 1):
        now = time.monotonic()
        if now - last > 5 or done == len(missing):
            last = now
            write_manifest(config)
            if progress:
                rate = done / (now - start)
                frames = rate * (config.frames + config.cross)
                left = tqdm.format_interval((len(missing) - done) / rate)
                text = f"{done}/{len(missing)} clips, {rate:.2f} clips/s, {frames:.0f} frames/s"
                print(f"\r{text}, {left} left", end="", file=sys.stderr, flush=True)
    if progress and missing:
        print(file=sys.stderr)
    return write_manifest(config)
