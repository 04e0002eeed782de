"""From a raw clip to its face crops, face parameters and masks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image

from reenact.data.prepare.layouts import ClipSource
from reenact.data.prepare.masks import ParsingNet, face_points, mesh_masks
from reenact.data.prepare.raw_frames import read_frames
from reenact.data.prepare.run_config import PrepareRun
from reenact.errors import UserError, counted
from reenact.face.batch import FaceBatch
from reenact.face.factory import make_face_stack
from reenact.face.open.following import VideoTracker
from reenact.face.open.tracker import FaceTracker
from reenact.face.points import FACE_OVAL, landmarks_from_points
from reenact.face.shots import hold_last
from reenact.face.stack import Frame, TargetMotion

SUFFIXES = {"jpeg": ".jpg", "webp": ".webp"}


@dataclass(frozen=True, kw_only=True)
class PreparedClip:
    """A clip that is ready to be stored.

    frames: N encoded pictures.
    npz: their parameters, landmarks and masks.
    fps: frames a second.
    num_dropped: frames without a face, which are left out.
    """

    frames: list[bytes]
    npz: bytes
    fps: float
    num_dropped: int


@dataclass
class Stopwatch:
    """The seconds spent in each stage of the work, counted by `clock`."""

    clock: Callable[[], float] = perf_counter
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = self.clock()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self.clock() - start

    def shares(self) -> str:
        """`decode 10 %, track 70 %, ...`"""
        total = sum(self.seconds.values()) or 1.0
        return ", ".join(f"{name} {100 * s / total:.0f} %" for name, s in self.seconds.items())


class ClipTracker:
    """Turns raw clips into prepared ones with the face stack and the networks for the masks.

    Raises UserError for missing network files.
    """

    def __init__(self, run: PrepareRun, device: torch.device) -> None:
        self.run, self.stopwatch = run, Stopwatch()
        self.stack = make_face_stack(run.face, device)
        # A stack whose parameters do not place the face needs the tracker's mesh for the masks.
        self.tracker = None if run.face.entry.has_places else FaceTracker(device)
        self.parsing = ParsingNet(run.masks, device) if run.masks.kind == "parsing" else None

    def prepare(self, source: ClipSource) -> PreparedClip:
        """The prepared clip. Raises UserError with the reason when the clip is bad."""
        run, timed = self.run, self.stopwatch.timed
        with timed("decode"):
            raw = read_frames(
                source, run.source, stride=run.clip.stride, max_frames=run.clip.max_frames
            )
        with timed("track"):
            motion = self.stack.target_motion(raw.frames, raw.fps, run.size)
        here = self._check(source, motion, len(raw.frames))
        assert motion is not None
        with timed("cut"):
            crops = np.stack([self.stack.cut(raw.frames[i], motion.crops[i]) for i in here])
        params = motion.params[here]
        with timed("mask"):
            landmarks, masks = self._masks(crops, params)
        with timed("encode"):
            frames = [self._encoded(crop) for crop in crops]
            npz = _npz(params, landmarks, masks, here, raw.fps)
        return PreparedClip(
            frames=frames, npz=npz, fps=raw.fps, num_dropped=len(raw.frames) - len(here)
        )

    def _check(
        self, source: ClipSource, motion: TargetMotion[Any] | None, num_read: int
    ) -> np.ndarray:
        """Indices of the frames with a face. Raises UserError when there are not enough."""
        clip = self.run.clip
        if motion is None:
            raise UserError(f"{source.path}: no face in {counted(num_read, 'frame')}")
        # A clip is one person: frames of somebody who takes over after a cut are left out.
        here = np.flatnonzero(motion.found & (motion.person == 0))
        if len(here) < clip.min_found * num_read:
            raise UserError(
                f"{source.path}: a face in only {len(here)} of {counted(num_read, 'frame')}, "
                f"min_found is {clip.min_found}"
            )
        if len(here) < clip.min_frames:
            raise UserError(
                f"{source.path}: {counted(len(here), 'frame')} with a face, "
                f"min_frames is {clip.min_frames}"
            )
        side = float(np.median([motion.crops[i].size / motion.crops[i].zoom for i in here]))
        if side < clip.min_side:
            raise UserError(
                f"{source.path}: the face crop is {side:.0f} pixels wide, "
                f"min_side is {clip.min_side:.0f}"
            )
        return here

    def _masks(self, crops: np.ndarray, params: FaceBatch) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (N, 68, 2) in crop pixels and face masks (N, S, S) bool."""
        if self.tracker is None:
            with torch.no_grad():
                landmarks = self.stack.landmarks(params).cpu().numpy()
                oval = self.stack.outline(params).cpu().numpy()
        else:
            landmarks, oval = _tracked_points(self.tracker, crops)
        if self.parsing is not None:
            masks = self.parsing.masks(crops)
        else:
            masks = mesh_masks(face_points(landmarks, oval), self.run.size)
        return landmarks.astype(np.float32), masks

    def _encoded(self, crop: Frame) -> bytes:
        buffer, store = io.BytesIO(), self.run.store
        options: dict[str, Any] = {"subsampling": 0} if store.format == "jpeg" else {}
        Image.fromarray(crop).save(buffer, store.format.upper(), quality=store.quality, **options)
        return buffer.getvalue()


def _tracked_points(tracker: FaceTracker, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (N, 68, 2) and oval (N, 36, 2) of the tracker's mesh in crops.

    A crop without a found face takes the points of the last crop with one, because an aligned face
    moves little. Raises UserError when the tracker finds no face in any crop.
    """
    faces = VideoTracker(tracker).update(crops)
    found = faces.found.cpu().numpy()
    if not found.any():
        raise UserError("the tracker sees no face in the crops, so there is no mask")
    points = faces.points.cpu()[hold_last(found)]
    return landmarks_from_points(points).numpy(), points[:, list(FACE_OVAL), :2].numpy()


def _npz(
    params: FaceBatch, landmarks: np.ndarray, masks: np.ndarray, here: np.ndarray, fps: float
) -> bytes:
    """The content of a clip's npz file.

    It holds the parameters by their names, landmarks (N, 68, 2), masks (N, S, S / 8) with eight
    pixels in a byte, `found` (N,), the numbers of the frames among those read, and fps.
    """
    arrays: dict[str, Any] = {
        **params.numpy(),
        "landmarks": landmarks,
        "masks": np.packbits(masks, axis=-1),
        "found": here.astype(np.int32),
        "fps": np.array(fps),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
