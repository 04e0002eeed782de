"""The face tracker: detection, 478 points, 52 expression scores; for images and for videos."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.graph import load_graphs
from reenact.face.open.detector import SIDE as TILE_SIDE
from reenact.face.open.detector import Candidates, FaceDetector
from reenact.face.open.mesh_net import MeshNet
from reenact.face.points import (
    IRIS_LEFT,
    IRIS_RIGHT,
    LANDMARKS_68,
    eye_mouth_openings,
    landmarks_from_points,
    pupils_from_points,
    rois_from_landmarks68,
    rois_from_points,
)
from reenact.face.pose import gaze_from_points, pose_from_points, rotation_from_points

__all__ = [
    "EXPRESSION_NAMES",
    "IRIS_LEFT",
    "IRIS_RIGHT",
    "LANDMARKS_68",
    "FaceTracker",
    "TrackedFaces",
    "VideoTracker",
    "eye_mouth_openings",
    "gaze_from_points",
    "landmarks_from_points",
    "pose_from_points",
    "pupils_from_points",
    "rois_from_landmarks68",
    "rois_from_points",
    "rotation_from_points",
]

_MIN_PRESENCE = 0.5
_SMALL_FACE = 0.1  # of the long side: below it the tiles look for something better
_MAX_TILE_LEVEL = 3
_TILE_SHRINK = 1.3  # tiles must shrink the picture by this: faces they add are too small to read
_MAX_CANDIDATES = 4
_TILES_EVERY = 5  # frames, while a video's face is lost


@dataclass(frozen=True, kw_only=True)
class TrackedFaces:
    """One face per picture. Where `found` is False the other values are meaningless but finite."""

    found: Tensor  # (B,) bool
    points: Tensor  # (B, 478, 3) picture pixels; z in the same unit, negative towards the camera
    blendshapes: Tensor  # (B, 52) in [0, 1], EXPRESSION_NAMES order
    presence: Tensor  # (B,) in [0, 1]
    rois: Tensor  # (B, 4) centre x, centre y, side, angle: the square the points were read from

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int | slice | Tensor) -> "TrackedFaces":
        """A smaller batch; an int keeps the batch dimension."""
        chosen = slice(index, index + 1 or None) if isinstance(index, int) else index
        return TrackedFaces(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    @staticmethod
    def cat(parts: Sequence["TrackedFaces"]) -> "TrackedFaces":
        """Joins batches."""
        names = [f.name for f in fields(TrackedFaces)]
        return TrackedFaces(**{n: torch.cat([getattr(p, n) for p in parts]) for n in names})


class FaceTracker(nn.Module):
    """Frozen nets; gradients flow from every result to the images."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__()
        graphs, _ = load_graphs(asset_path("tracker.safetensors"))
        self.detector = FaceDetector(graphs["detector"])
        self.mesh = MeshNet(graphs["landmarks"], graphs["blendshapes"])
        self.to(device).eval()

    @property
    def device(self) -> torch.device:
        return self.detector.anchors.device

    def images(self, frames: np.ndarray | Tensor) -> Tensor:
        """Frames uint8 (H, W, 3) or (B, H, W, 3) -> images (B, 3, H, W) in [-1, 1]; images pass
        through.
        """
        if isinstance(frames, Tensor) and frames.is_floating_point():
            return frames.to(self.device)
        pixels = torch.as_tensor(np.require(frames, requirements=["C", "W"])).to(self.device)
        pixels = pixels[None] if pixels.ndim == 3 else pixels
        return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1

    @torch.no_grad()
    def detect(self, frames: np.ndarray | Tensor, tiles: bool = True) -> tuple[Tensor, Tensor]:
        """Frames or images -> (found (B,) bool, rois (B, 4)); the roi is the one the points' own
        box gives.

        Of several faces the largest confident one wins. With `tiles` a picture without a face, or
        with a tiny one only, is searched again piece by piece. Without a face the roi is the whole
        picture.
        """
        images = self.images(frames)
        first = self.detector.whole(images)
        results = [self._confirm(images[i : i + 1], c, tiles) for i, c in enumerate(first)]
        found = torch.tensor([r is not None for r in results], device=self.device)
        height, width = images.shape[-2:]
        whole = images.new_tensor([width / 2, height / 2, max(height, width), 0.0])
        return found, torch.stack([whole if r is None else r for r in results])

    def _confirm(self, image: Tensor, candidates: Candidates, tiles: bool) -> Tensor | None:
        """The roi (4,) of the best candidate in which the landmark net sees a face too."""
        long_side = max(image.shape[-2:])
        best = self._first_face(image, candidates)
        if best is None:
            best = self._first_face(image, self.detector.whole(image, margin=0.5)[0])
        if not tiles or (best is not None and best[2] > 1.5 * _SMALL_FACE * long_side):
            return best
        for level in range(1, _MAX_TILE_LEVEL + 1):
            if _TILE_SHRINK * (TILE_SIDE << level) > long_side:
                break
            small = self._first_face(image, self.detector.tiles(image, level))
            if small is not None:
                return small if best is None or small[2] > best[2] else best
        return best

    def _first_face(self, image: Tensor, candidates: Candidates) -> Tensor | None:
        for roi in candidates.rois()[:_MAX_CANDIDATES]:
            points, presence = self.mesh(image, roi[None])
            if presence > _MIN_PRESENCE:
                # Twice, because the detector's box and angle are rougher than the points' own.
                points, _ = self.mesh(image, rois_from_points(points))
                return rois_from_points(points)[0]
        return None

    def track_images(self, images: Tensor) -> TrackedFaces:
        """images (B, 3, H, W) in [-1, 1], each on its own."""
        found, rois = self.detect(images.detach())
        tracked = self.mesh_from_rois(images, rois)
        return TrackedFaces(**{**vars(tracked), "found": found & tracked.found})

    def mesh_from_rois(self, images: Tensor, rois: Tensor) -> TrackedFaces:
        """images (B, 3, H, W) in [-1, 1], rois (B, 4) px; no detection, differentiable."""
        points, presence = self.mesh(images, rois)
        return TrackedFaces(
            found=presence > _MIN_PRESENCE,
            points=points,
            blendshapes=self.mesh.blendshapes(points),
            presence=presence,
            rois=rois,
        )

    def video(self) -> "VideoTracker":
        """A new tracker that follows one face through a video."""
        return VideoTracker(self)


class VideoTracker:
    """Follows one face: each frame is read in the region of interest of the frame before.

    The chain runs frame by frame, so results do not depend on how the frames are batched. A lost
    face is looked for again in the same frame.
    """

    def __init__(self, tracker: FaceTracker) -> None:
        self.tracker = tracker
        self._roi: Tensor | None = None
        self._lost = 0  # frames since the face was last seen

    @torch.no_grad()
    def update(self, frames: np.ndarray) -> TrackedFaces:
        """frames (B, H, W, 3) uint8, the next ones of the video -> their faces."""
        steps = [self._step(frame) for frame in frames]
        found, points, presence, rois = (torch.stack(column) for column in zip(*steps, strict=True))
        return TrackedFaces(
            found=found,
            points=points,
            blendshapes=self.tracker.mesh.blendshapes(points),
            presence=presence,
            rois=rois,
        )

    def _step(self, frame: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._roi is not None:
            result = self._read(frame, self._roi)
            if result[0]:
                self._roi, self._lost = rois_from_points(result[1][None])[0], 0
                return result
        found, rois = self.tracker.detect(frame, tiles=self._lost % _TILES_EVERY == 0)
        result = self._read(frame, rois[0])
        result = (result[0] & found[0], *result[1:])
        self._lost = 0 if result[0] else self._lost + 1
        self._roi = rois_from_points(result[1][None])[0] if result[0] else None
        return result

    def _read(self, frame: np.ndarray, roi: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """found, points, presence, roi of one frame. Only the roi's surroundings leave uint8."""
        cx, cy, side, _ = roi.tolist()
        reach = 0.71 * side + 2
        height, width = frame.shape[:2]
        left, right = _span(cx - reach, cx + reach, width)
        top, bottom = _span(cy - reach, cy + reach, height)
        offset = roi.new_tensor([left, top])
        shifted = torch.cat([roi[:2] - offset, roi[2:]])
        image = self.tracker.images(frame[top:bottom, left:right])
        points, presence = self.tracker.mesh(image, shifted[None])
        points = torch.cat([points[0, :, :2] + offset, points[0, :, 2:]], -1)
        return presence[0] > _MIN_PRESENCE, points, presence[0], roi


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """A non-empty pixel range inside [0, length), starting at a multiple of 64 so that averaging
    does not depend on it.
    """
    start = min(max(int(low), 0), length - 1) // 64 * 64
    return start, min(max(int(high) + 1, start + 1), length)
