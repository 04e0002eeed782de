"""Measure a model on real photos and clips, where no true picture exists.

    python -m tools.measure_real --photos DIR --clips DIR [--weights FILE] [--sheet sheet.png]

Each clip drives each photo at the config's `output_size`. The tracker reads the results:

found: the share of frames with a face.
yaw, jaw: the correlation of yaw and of the opening of the jaw with the target.
csim: the cosine with the source. Different people have about 0.1, other photos of the same person
    0.66 to 0.79.
flicker: the mean absolute second difference over time, in levels of 255. The target for this number
    is one frame of the clip, repeated with slight noise.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.config import load_config
from reenact.errors import exit_code
from reenact.evaluation.measuring.formulas import correlation
from reenact.evaluation.readers import FaceReading, TrackerReader
from reenact.face.expressions import JAW
from reenact.face.stack import SourceFace
from reenact.files import check_input_file
from reenact.inference.canvas import crop_view
from reenact.inference.compose import resized_frames
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.images import (
    image_from_frame,
    is_image_path,
    read_frame,
    write_frame,
)
from reenact.media.video_reader import VideoReader

CONFIG = Path("configs/embedded/infer.yaml")
STILL_FRAMES = 10
NOISE_LEVELS = 2.0


@dataclass(frozen=True, kw_only=True)
class PairMeasures:
    """The numbers of one photo with the motion of one clip.

    A correlation is None where one of the two series does not change.
    """

    photo: str
    clip: str
    found: float
    yaw: float | None
    jaw: float | None
    csim: float
    flicker: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A clip, read once.

    params: the faces of some of its frames. crops: the same frames as the networks see them.
    reading: what the tracker reads in the crops. still: the faces of a repeated frame.
    """

    name: str
    params: Any
    crops: list[np.ndarray]
    reading: FaceReading
    still: Any


def read_target(
    clip: Path, reenactor: Reenactor, reader: TrackerReader, size: int, every: int
) -> Target | None:
    """None when no face is found in the clip, or in the frame that is repeated."""
    video = VideoReader(clip)
    motion = reenactor.face.target_motion(video, float(video.fps), reenactor.size)
    if motion is None:
        return None
    kept = np.flatnonzero(motion.found)[::every]
    chosen = set(kept.tolist())
    frames = [(i, frame) for i, frame in enumerate(video) if i in chosen]
    crops = [reenactor.face.cut(frame, motion.crops[i].resized(size)) for i, frame in frames]
    still = reenactor.face.target_motion(noisy(frames[0][1]), float(video.fps), reenactor.size)
    if still is None:
        return None
    return Target(
        name=clip.name,
        params=motion.params[kept],
        crops=crops,
        reading=_read(reader, image_from_frame(np.stack(crops))),
        still=still.params,
    )


def measure(
    photo: Path,
    source: SourceFace[Any],
    target: Target,
    reenactor: Reenactor,
    reader: TrackerReader,
    size: int,
) -> tuple[PairMeasures, list[np.ndarray]]:
    """The numbers, and source, target and result, (size, size, 3) each.

    The three pictures show the frame in which the target is turned most away from its first frame.
    """
    own = reenactor.face.cut(source.photo, source.crop.resized(size))
    view = crop_view(source.photo, source.crop, reenactor.person_mask, size)
    state = reenactor.set_source(image_from_frame(source.crop_frame), source.params, view=view)
    results = resized_frames(reenactor.render(state, target.params).cpu(), size)
    ours, theirs = _read(reader, image_from_frame(results)), target.reading
    identity = reader.read(image_from_frame(own)).identity[0]
    both = ours.found & theirs.found
    flicker = reenactor.render(state, target.still).diff(n=2, dim=0).abs().mean() * 127.5
    turned = int((theirs.rotation[:, 0] - theirs.rotation[0, 0]).abs().argmax())
    some = bool(ours.found.any())
    numbers = PairMeasures(
        photo=photo.name,
        clip=target.name,
        found=float(ours.found.float().mean()),
        yaw=correlation(ours.rotation[both, 0], theirs.rotation[both, 0]),
        jaw=correlation(ours.expression[both, JAW], theirs.expression[both, JAW]),
        csim=float((ours.identity @ identity)[ours.found].mean()) if some else 0.0,
        flicker=float(flicker),
    )
    return numbers, [own, target.crops[turned], results[turned]]


def noisy(frame: np.ndarray) -> list[np.ndarray]:
    """One frame as a clip in which only the noise of a camera changes."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, NOISE_LEVELS, (STILL_FRAMES, *frame.shape))
    return list((frame + noise).round().clip(0, 255).astype(np.uint8))


def _read(reader: TrackerReader, images: torch.Tensor) -> FaceReading:
    reads = [reader.read(part) for part in images.split(16)]
    values = {name: [getattr(read, name) for read in reads] for name in vars(reads[0])}
    return FaceReading(**{name: torch.cat(parts) for name, parts in values.items()})


def files_of(folder: Path, *, images: bool) -> Iterator[Path]:
    """The pictures of a folder, or the other files except notes. Raises UserError."""
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".md", ".txt") and is_image_path(path) == images:
            yield check_input_file(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=asset_path(EMBEDDED_WEIGHTS))
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--every", type=int, default=3, help="take every n-th frame")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sheet", type=Path, help="PNG with a row a pair: source, target, result")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    run = replace(load_config(args.config, InferRun, args.set), weights=args.weights)
    reenactor = Reenactor.load(run.weights, config=run.reenactor, device=args.device, face=run.face)
    reader = TrackerReader(reenactor.device)
    targets = []
    for clip in tqdm(list(files_of(args.clips, images=False)), unit="clip"):
        target = read_target(clip, reenactor, reader, run.output_size, args.every)
        if target is None:
            print(f"{clip.name}: no face")
        else:
            targets.append(target)
    rows: list[PairMeasures] = []
    strips = []
    for photo in tqdm(list(files_of(args.photos, images=True)), unit="photo"):
        source = reenactor.face.source_face(read_frame(photo), reenactor.size)
        if source is None:
            print(f"{photo.name}: no face")
            continue
        for target in targets:
            numbers, strip = measure(photo, source, target, reenactor, reader, run.output_size)
            rows.append(numbers)
            strips.append(np.concatenate(strip, axis=1))
    report(rows)
    if args.sheet is not None:
        write_frame(args.sheet, np.concatenate(strips))
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def report(rows: list[PairMeasures]) -> None:
    """Print one line for each pair, and the means."""
    names = ("found", "yaw", "jaw", "csim", "flicker")
    print(f"{'':42s}" + "".join(f"{name:>9s}" for name in names))
    for row in rows:
        values = [getattr(row, name) for name in names]
        texts = ["        –" if value is None else f"{value:9.3f}" for value in values]
        print(f"{row.photo[:20]:20s}  {row.clip[:20]:20s}" + "".join(texts))
    means = [np.mean([v for row in rows if (v := getattr(row, n)) is not None]) for n in names]
    print(f"{'mean':42s}" + "".join(f"{mean:9.3f}" for mean in means))


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
