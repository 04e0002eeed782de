"""Writes the benchmark: clips for our evaluation, and plain files for any method."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reenact.data.clips import Clip, ClipSet, open_clips
from reenact.data.synthetic.generate import write_clip, write_manifest
from reenact.data.synthetic.renderer import Renderer
from reenact.errors import UserError, warn
from reenact.evaluation.benchmark.spec import (
    FPS,
    LEVEL_TOLERANCE,
    NUM_FRAMES,
    SPLIT,
    TARGET_EVERY,
    VERSION,
    Spec,
    config_of,
    level_difference,
    parameters_differ,
    read_spec,
)
from reenact.evaluation.pairing.pairs import Pair, PairListConfig, list_pairs, videos_of
from reenact.files import atomic_output, make_folder
from reenact.media.images import write_frame
from reenact.media.video_writer import VideoWriter

CRF = 12
"""Constant quality of target.mp4: no difference can be seen."""
SUMS = "SHA256SUMS"
PAIRS = PairListConfig(self_every=TARGET_EVERY, cross="rendered")


def write_benchmark(out: Path, size: int, tracks: Sequence[str]) -> None:
    """Write the tracks to `out/<track>`. Finished clips and videos are kept.

    Each video has a folder `<track>/<mode>/<name>` with source.png, photo.png, target.mp4 and
    truth/. The same name under a folder of results is where `eval.py --predictions` looks for it.
    SHA256SUMS of a track holds the sums of all these files, so that a copy can be checked. Raises
    UserError for an unknown track, and when `out` cannot be written. A copy that differs from the
    committed benchmark gives a warning.
    """
    spec = read_spec()
    unknown = [track for track in tracks if track not in spec.tracks]
    if unknown:
        raise UserError(f"track {unknown[0]!r}: unknown, the tracks are {', '.join(spec.tracks)}")
    renderer = Renderer()
    clips = [(track, clip) for track in tracks for clip in spec.tracks[track]]
    for track, clip in tqdm(clips, unit="clip", desc="benchmark"):
        _write_clip(spec, out, size, track, clip, renderer)
    for track in tracks:
        folder = out / track
        make_folder(folder)
        write_manifest(config_of(folder / "clips", size, spec.tracks[track]))
        opened = open_clips(folder / "clips", SPLIT)
        _check(spec, size, opened)
        _write_videos(folder, opened)


def _write_clip(
    spec: Spec, out: Path, size: int, track: str, clip: int, renderer: Renderer
) -> None:
    target = dict(spec.pairs(track))[clip]
    targets = [(target, frame) for frame in range(0, NUM_FRAMES, TARGET_EVERY)]
    folder = out / track / "clips"
    make_folder(folder)
    try:
        write_clip(config_of(folder, size, spec.tracks[track]), clip, renderer, targets)
    except OSError as error:
        raise UserError(f"{folder}: cannot write ({error.strerror or error})") from error


def _check(spec: Spec, size: int, clips: ClipSet) -> None:
    """Warn when this copy shows something else than the committed benchmark."""
    for clip in clips.clips:
        number = int(clip.name.rpartition("_")[2])
        frames = np.stack([clip.frame(i) for i in range(NUM_FRAMES)])
        difference = level_difference(spec, size, number, frames)
        if parameters_differ(spec, number) or difference > LEVEL_TOLERANCE:
            warn(
                f"{clips.root}: {clip.name} differs from version {VERSION} of the benchmark (by "
                f"{difference:.1f} levels); numbers from this copy cannot be compared"
            )
            return


def _write_videos(folder: Path, clips: ClipSet) -> None:
    rows = []
    for video in videos_of(list_pairs(clips, PAIRS)):
        source, target = (clips.by_name[n] for n in (video[0].source_clip, video[0].target_clip))
        name = video[0].video
        _write_video(folder / name, video, source, target)
        rows.append([name, f"{name}/source.png", f"{name}/target.mp4", f"{name}.mp4"])
    text = io.StringIO()
    columns = ["video", "source", "target", "result"]
    csv.writer(text, lineterminator="\n").writerows([columns, *sorted(rows)])
    with atomic_output(folder / "videos.csv") as temporary:
        temporary.write_text(text.getvalue())
    with atomic_output(folder / SUMS) as temporary:
        temporary.write_text(_sums(folder))


def _sums(folder: Path) -> str:
    """The sha256 of every file for other methods, as `sha256sum --check` reads them."""
    files = [folder / "videos.csv"]
    for mode in ("self", "cross"):
        files += sorted(path for path in (folder / mode).rglob("*") if path.is_file())
    lines = []
    for path in files:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    return "".join(lines)


def _write_video(folder: Path, video: Sequence[Pair], source: Clip, target: Clip) -> None:
    """source.png, photo.png, target.mp4, and the true pictures by the number of their frame."""
    make_folder(folder / "truth")
    write_frame(folder / "source.png", source.frame(video[0].source_frame))
    write_frame(folder / "photo.png", source.photo()[..., :3])
    for pair in video:
        is_cross = pair.mode == "cross"
        truth = source.cross_frame(pair.reference) if is_cross else source.frame(pair.reference)
        write_frame(folder / "truth" / f"{pair.target_frame:06d}.png", truth)
    path = folder / "target.mp4"
    if path.is_file():
        return
    first = target.frame(0)
    with VideoWriter(
        path, width=first.shape[1], height=first.shape[0], fps=Fraction(FPS), crf=CRF
    ) as writer:
        for i in range(target.num_frames):
            writer.write(target.frame(i))
