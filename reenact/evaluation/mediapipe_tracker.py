"""The MediaPipe runtime as the tracker of the judge, instead of this project's own tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.errors import UserError
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.open.tracker import TrackedFaces
from reenact.files import check_input_file
from reenact.media.images import frame_from_image

NUM_POINTS = 478
MIN_SIDE = 256
"""Pixels. Smaller pictures are enlarged, because the runtime's detector misses their faces."""
MIN_CONFIDENCE = 0.3


class MediaPipeTracker:
    """Finds one face in each picture with the package `mediapipe`, on the CPU.

    It is a program of its own: detector, crop, resampling and networks are the runtime's. Our
    tracker has networks of the same origin. So this judge checks our code, not those networks.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        """path: face_landmarker_v2.task. device: of the results.

        Raises UserError if the file or the package is missing.
        """
        check_input_file(path)
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            raise UserError(
                f"judges.mediapipe: the package mediapipe does not load ({error}); install it with "
                "pip install mediapipe, or set judges.mediapipe to null"
            ) from error
        self.device = torch.device(device)
        self.runtime: Any = mediapipe
        self.vision: Any = vision
        self.options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=path.read_bytes()),
            num_faces=1,
            output_face_blendshapes=True,
            min_face_detection_confidence=MIN_CONFIDENCE,
        )
        try:
            self._open().close()
        except (RuntimeError, ValueError) as error:
            line = str(error).splitlines()[0]
            raise UserError(f"{path}: is not a face landmarker of MediaPipe ({line})") from error

    def _open(self) -> Any:
        """The runtime's landmarker. Close it: it cannot do so while the interpreter ends."""
        return self.vision.FaceLandmarker.create_from_options(self.options)

    def track_images(self, images: Tensor) -> TrackedFaces:
        """Images (B, 3, H, W) in [-1, 1], each on its own."""
        size = images.shape[-2:]
        zoom = max(1.0, MIN_SIDE / max(size))
        if zoom > 1:
            larger = [round(side * zoom) for side in size]
            images = F.interpolate(images, size=larger, mode="bicubic", antialias=True)
        # A face that fills the picture is found more surely with a border around it.
        border = max(images.shape[-2:]) // 4
        images = F.pad(images, [border] * 4, mode="replicate")
        found, points, scores = [], [], []
        with self._open() as landmarker:
            for frame in frame_from_image(images):
                picture = self.runtime.Image(self.runtime.ImageFormat.SRGB, frame)
                result = landmarker.detect(picture)
                found.append(bool(result.face_landmarks))
                points.append(_points(result, frame.shape[1], frame.shape[0]))
                scores.append(_scores(result))
        moved = torch.from_numpy(np.stack(points))
        moved[..., :2] -= border
        moved /= zoom
        is_found = torch.tensor(found)
        return TrackedFaces(
            found=is_found.to(self.device),
            points=moved.to(self.device),
            blendshapes=torch.from_numpy(np.stack(scores)).to(self.device),
            presence=is_found.float().to(self.device),
            rois=torch.zeros(len(found), 4, device=self.device),
        )


def _points(result: Any, width: int, height: int) -> np.ndarray:
    """(478, 3) pixels of the picture that the runtime saw; z in the same unit.

    Without a face they are points on a grid: the fit of the head model stays finite.
    """
    if not result.face_landmarks:
        grid = np.linspace(0, width - 1, NUM_POINTS, dtype=np.float32)
        return np.stack([grid, grid[::-1] ** 2 / width, 0 * grid], axis=1)
    values = np.array([[p.x, p.y, p.z] for p in result.face_landmarks[0]])
    return (values * [width, height, width]).astype(np.float32)


def _scores(result: Any) -> np.ndarray:
    """(52,) in [0, 1], in the order of EXPRESSION_NAMES."""
    if not result.face_blendshapes:
        return np.zeros(len(EXPRESSION_NAMES), np.float32)
    scores = {score.category_name: score.score for score in result.face_blendshapes[0]}
    return np.array([scores.get(name, 0.0) for name in EXPRESSION_NAMES], np.float32)
