"""How much rendered people look like photographs to networks that know photographs.

    python -m reenact synthetic --out CLIPS --clips 40 --frames 4 --size 256 --cross 0
    python -m tools.judge_synthetic --real PHOTOS CLIPS [MORE_CLIPS ...]

PHOTOS is a folder of photos and videos of real people. They are cut to face crops of the size of
the clips. For each set the tool prints, as JSON:

- `frames`, `found`, `presence`: how many pictures there are, the share in which the tracker finds
  a face, and the mean of its presence score.
- `residual`: the mean distance between the tracker's 68 landmarks and those of the fitted head
  model, in percent of the distance between the outer eye corners.
- `frechet`: the Fréchet distance of EfficientNet features to those of the real pictures. Each set
  gives equally many pictures, because the distance depends on the number.
- `person`: intersection over union of the person that the mask network finds and the rendered
  one. Real pictures have no such truth.
- `scores`: for each expression unit the 10th, 50th and 90th percentile of the tracker's score.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from reenact.errors import UserError, counted, exit_code
from reenact.evaluation.measuring.frechet import frechet_distance
from reenact.face.crop import crop_from_landmarks, warp_to_crop
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.open.fitting import fit_params
from reenact.face.open.tracker import FaceTracker
from reenact.face.person_mask import SIDE, PersonMask
from reenact.face.points import landmarks_from_points
from reenact.media.images import image_from_frame, is_image_path, read_frame
from reenact.media.video_reader import VideoReader
from reenact.models.perceptual import PerceptualNet

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")
OUTER_EYE_CORNERS = (36, 45)
BATCH = 8


def real_crops(folder: Path, size: int, every: int, tracker: FaceTracker) -> list[np.ndarray]:
    """Face crops (size, size, 3) of the photos, and of every `every`-th frame of the videos."""
    crops = []
    for path in sorted(folder.iterdir()):
        for frame in _frames(path, every):
            with torch.no_grad():
                tracked = tracker.track_images(tracker.images(frame))
            if tracked.found.all():
                landmarks = landmarks_from_points(tracked.points)[0].numpy()
                crops.append(warp_to_crop(frame, crop_from_landmarks(landmarks, size)))
    if len(crops) < 2:
        raise UserError(
            f"{folder}: found {counted(len(crops), 'face')} in it, at least 2 are needed"
        )
    return crops


def _frames(path: Path, every: int) -> Iterator[np.ndarray]:
    if is_image_path(path):
        yield read_frame(path)
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        yield from VideoReader(path).every(every)


def rendered_crops(folder: Path, name: str = "frames") -> list[np.ndarray]:
    """The frames (S, S, 3) of all clips of a folder of the generator, or another array of them."""
    paths = sorted(folder.glob(f"*/{name}.npy"))
    if not paths:
        raise UserError(f"{folder}: no clips of `python -m reenact synthetic` in it")
    return [frame for path in paths for frame in np.load(path)]


@torch.no_grad()
def person_overlap(crops: list[np.ndarray], persons: list[np.ndarray]) -> float:
    """Mean intersection over union of the mask network's person and `persons` (S, S) uint8."""
    net = PersonMask()
    overlaps = []
    for crop, person in zip(crops, persons, strict=True):
        image = image_from_frame(crop)
        image = F.interpolate(image, (SIDE, SIDE), mode="bilinear", antialias=True)
        truth = torch.from_numpy(person)[None, None].float() / 255
        truth = F.interpolate(truth, (SIDE, SIDE), mode="bilinear", antialias=True) > 0.5
        found = net(image) > 0.5
        overlaps.append(float((found & truth).sum() / (found | truth).sum().clamp_min(1)))
    return float(np.mean(overlaps))


@torch.no_grad()
def judge(
    crops: list[np.ndarray], tracker: FaceTracker, head: HeadModel, net: PerceptualNet
) -> tuple[dict[str, Any], torch.Tensor]:
    """What the tracker says of crops (S, S, 3), and their EfficientNet features (N, 320)."""
    found, presence, residuals, scores, features = [], [], [], [], []
    for start in range(0, len(crops), BATCH):
        images = tracker.images(np.stack(crops[start : start + BATCH]))
        features.append(net.pooled(images))
        tracked = tracker.track_images(images)
        found.append(tracked.found)
        presence.append(tracked.presence[tracked.found])
        faces = tracked[tracked.found]
        if len(faces):
            landmarks = landmarks_from_points(faces.points)
            fitted = head.landmarks(fit_params(faces, head))
            low, high = OUTER_EYE_CORNERS
            unit = (landmarks[:, low] - landmarks[:, high]).norm(dim=-1)
            residuals.append((landmarks - fitted).norm(dim=-1).mean(1) / unit)
            scores.append(faces.blendshapes)
    table = torch.cat(scores).quantile(torch.tensor([0.1, 0.5, 0.9]), dim=0).T
    numbers = {
        "frames": len(crops),
        "found": round(float(torch.cat(found).float().mean()), 3),
        "presence": round(float(torch.cat(presence).mean()), 3),
        "residual": round(100 * float(torch.cat(residuals).mean()), 2),
        "scores": {
            name: [round(float(v), 3) for v in row]
            for name, row in zip(EXPRESSION_NAMES, table, strict=True)
        },
    }
    return numbers, torch.cat(features)


def compare(real: Path, folders: list[Path], every: int) -> dict[str, Any]:
    """The numbers of the module's docstring for the real pictures and each folder of clips."""
    tracker, head, net = FaceTracker(), HeadModel(), PerceptualNet()
    sets = {str(folder): rendered_crops(folder) for folder in folders}
    size = next(iter(sets.values()))[0].shape[0]
    sets = {"real": real_crops(real, size, every, tracker), **sets}
    judged = {name: judge(crops, tracker, head, net) for name, crops in sets.items()}
    count = min(len(features) for _, features in judged.values())
    chosen = {}
    for name, (_, features) in judged.items():
        order = np.random.default_rng(0).permutation(len(features))[:count]
        chosen[name] = features[order]
    for name, (numbers, _) in judged.items():
        numbers["frechet"] = round(frechet_distance(chosen["real"], chosen[name]), 2)
    for folder in folders:
        persons = rendered_crops(folder, "foreground")
        overlap = person_overlap(sets[str(folder)], persons)
        judged[str(folder)][0]["person"] = round(overlap, 3)
    return {name: numbers for name, (numbers, _) in judged.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+", help="folders of the generator, one size")
    parser.add_argument("--real", type=Path, required=True, help="folder of photos and videos")
    parser.add_argument("--every", type=int, default=8, help="take each n-th frame of a video")
    args = parser.parse_args()
    print(json.dumps(compare(args.real, args.clips, args.every), indent=1))


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
