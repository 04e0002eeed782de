"""The face tracker for single pictures: detection, 478 points, 52 expression scores."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.graph import load_graphs
from reenact.face.identity import IdentityNet
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
    "eye_mouth_openings",
    "gaze_from_points",
    "landmarks_from_points",
    "pose_from_points",
    "pupils_from_points",
    "rois_from_landmarks68",
    "rois_from_points",
    "rotation_from_points",
]

MIN_PRESENCE = 0.5
_SMALL_FACE = 0.1  # of the long side: below it the tiles look for something better
_MAX_TILE_LEVEL = 3
_TILE_SHRINK = 1.3  # tiles must shrink the picture by this: faces they add are too small to read
_MAX_CANDIDATES = 4
_MANY_CANDIDATES = 50  # in a photo of a group
_SAME_FACE = 0.5  # of a roi's side: two faces whose centres are closer are one face


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

    def __getitem__(self, index: int | slice | Tensor) -> Self:
        """A smaller batch; an int keeps the batch dimension."""
        chosen = slice(index, index + 1 or None) if isinstance(index, int) else index
        return type(self)(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def cpu(self) -> Self:
        """The same faces in main memory."""
        return type(self)(**{f.name: getattr(self, f.name).cpu() for f in fields(self)})

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Joins batches."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: torch.cat([getattr(p, n) for p in parts]) for n in names})


class FaceTracker(nn.Module):
    """Frozen nets; gradients flow from every result to the images."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__()
        graphs, _ = load_graphs(asset_path("tracker.safetensors"))
        self.detector = FaceDetector(graphs["detector"])
        self.mesh = MeshNet(graphs["landmarks"], graphs["blendshapes"])
        self._identity_net: IdentityNet | None = None
        self.to(device).eval()

    def identity_net(self) -> IdentityNet:
        """The identity net, loaded at its first use: most films never need it."""
        if self._identity_net is None:
            self._identity_net = IdentityNet(self.device)
        return self._identity_net

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
        best = next(self._whole_faces(image, candidates), None)
        for level in self._tile_levels(image, best) if tiles else ():
            small = next(self._confirmed(image, self.detector.tiles(image, level)), None)
            if small is not None:
                return small if best is None or small[2] > best[2] else best
        return best

    @torch.no_grad()
    def faces(
        self,
        frame: np.ndarray,
        tiles: bool = True,
        known: Sequence[Tensor] = (),
        thorough: bool = False,
    ) -> list[Tensor]:
        """All faces of one frame (H, W, 3) uint8: rois (4,), the one of `detect` first.

        With `tiles` the picture is also searched piece by piece when it shows no face, or only
        tiny ones. Faces in the squares `known` are left out. `thorough`: the picture is searched
        piece by piece in any case, at all sizes.
        """
        image = self.images(frame)
        limit = _MANY_CANDIDATES if thorough else _MAX_CANDIDATES
        found = list(self._whole_faces(image, self.detector.whole(image)[0], known, limit))
        best = None if thorough else next(iter([*found, *known]), None)
        for level in self._tile_levels(image, best) if tiles else ():
            known = [*known, *found] if thorough else known
            small = list(self._confirmed(image, self.detector.tiles(image, level), known, limit))
            if small:
                first = not found or bool(small[0][2] > found[0][2])
                found = small + found if first else found + small
                if not thorough:
                    break
        different: list[Tensor] = []
        for roi in found:
            if not any(same_face(roi, other) for other in different):
                different.append(roi)
        return different

    def _whole_faces(
        self,
        image: Tensor,
        candidates: Candidates,
        known: Sequence[Tensor] = (),
        limit: int = _MAX_CANDIDATES,
    ) -> Iterator[Tensor]:
        """Confirmed faces of the whole picture; without any, those found with a margin around."""
        none = not known
        for roi in self._confirmed(image, candidates, known, limit):
            none = False
            yield roi
        if none:
            yield from self._confirmed(image, self.detector.whole(image, margin=0.5)[0])

    def _tile_levels(self, image: Tensor, best: Tensor | None) -> Iterator[int]:
        """The levels of tiles worth a look; none where a face of good size is known."""
        long_side = max(image.shape[-2:])
        if best is not None and best[2] > 1.5 * _SMALL_FACE * long_side:
            return
        for level in range(1, _MAX_TILE_LEVEL + 1):
            if _TILE_SHRINK * (TILE_SIDE << level) > long_side:
                return
            yield level

    def _confirmed(
        self,
        image: Tensor,
        candidates: Candidates,
        known: Sequence[Tensor] = (),
        limit: int = _MAX_CANDIDATES,
    ) -> Iterator[Tensor]:
        """Rois (4,) of the first `limit` candidates in which the landmark net sees a face too."""
        new = (r for r in candidates.rois() if not any(same_face(r, other) for other in known))
        for roi in itertools.islice(new, limit):
            points, presence = self.mesh(image, roi[None])
            if presence > MIN_PRESENCE:
                # Twice, because the detector's box and angle are rougher than the points' own.
                points, presence = self.mesh(image, rois_from_points(points))
            if presence > MIN_PRESENCE:
                yield rois_from_points(points)[0]

    def track_images(self, images: Tensor) -> TrackedFaces:
        """images (B, 3, H, W) in [-1, 1], each on its own."""
        found, rois = self.detect(images.detach())
        tracked = self.mesh_from_rois(images, rois)
        return TrackedFaces(**{**vars(tracked), "found": found & tracked.found})

    def mesh_from_rois(self, images: Tensor, rois: Tensor) -> TrackedFaces:
        """images (B, 3, H, W) in [-1, 1], rois (B, 4) px; no detection, differentiable."""
        points, presence = self.mesh(images, rois)
        return TrackedFaces(
            found=presence > MIN_PRESENCE,
            points=points,
            blendshapes=self.mesh.blendshapes(points),
            presence=presence,
            rois=rois,
        )


def same_face(roi: Tensor, other: Tensor) -> bool:
    """Whether two squares (4,) of one picture, or of two frames in a row, lie on one face."""
    distance = (roi[:2] - other[:2]).norm()
    return bool(distance < _SAME_FACE * torch.minimum(roi[2], other[2]))
