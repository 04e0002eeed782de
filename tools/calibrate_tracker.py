"""Measure the offsets of the tracker's landmarks from those of the head model.

It prints the table `_HALF` of reenact/face/open/tracker_offsets.py.

    python -m reenact synthetic --out DIR --clips 40 --frames 6 --size 256 --cross 0
    python -m tools.calibrate_tracker DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reenact.errors import exit_code
from reenact.face.head_model import HeadModel
from reenact.face.open.tracker import FaceTracker
from reenact.face.open.tracker_offsets import MIRRORED
from reenact.face.params import CAMERA_DISTANCE, CAMERA_PLANE, FaceParams, rotation_matrix
from reenact.face.points import landmarks_from_points

RIDGE = 20.0
LARGEST_ERROR = 0.15  # dm; larger errors count as this one


def offsets_from_clip(folder: Path, tracker: FaceTracker, head: HeadModel) -> tuple[Tensor, Tensor]:
    """Normal equations (68, 3, 3), (68, 3) of the offsets on the unposed head, from one clip."""
    with np.load(folder / "params.npz") as arrays:
        params = FaceParams.from_numpy(arrays).to(torch.float64)
    tracked = tracker.track_images(tracker.images(np.load(folder / "frames.npy")))
    params, points = params[tracked.found], tracked.points[tracked.found].double()
    unit = params.scale[:, None, None]
    error = (landmarks_from_points(points) - head.landmarks(params)) / unit
    length = error.norm(dim=-1, keepdim=True)
    error = error * (length.clamp_max(LARGEST_ERROR) / length.clamp_min(1e-9))
    depth = head.landmarks_3d(params)[..., 2]
    w = CAMERA_DISTANCE / (CAMERA_DISTANCE - (depth - CAMERA_PLANE))
    flip = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    jac = w[..., None, None] * (rotation_matrix(params.rotation)[:, None, :2] * flip)
    return torch.einsum("bnji,bnjk->nik", jac, jac), torch.einsum("bnji,bnj->ni", jac, error)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="clips of reenact.data.synthetic")
    clips = sorted(p.parent for p in parser.parse_args().folder.glob("*/params.npz"))
    tracker, head = FaceTracker(), HeadModel().double()
    left = RIDGE * torch.eye(3, dtype=torch.float64).expand(68, -1, -1)
    right = torch.zeros(68, 3, dtype=torch.float64)
    for clip in clips:
        a, b = offsets_from_clip(clip, tracker, head)
        left, right = left + a, right + b
    offsets = torch.linalg.solve(left, right)
    mirrored = offsets[list(MIRRORED)] * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    for k, (x, y, z) in enumerate(((offsets + mirrored) * 500).round().int().tolist()):
        if k <= MIRRORED[k]:
            print(f"    {k}: ({x}, {y}, {z}),")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
