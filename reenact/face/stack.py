"""The open face stack: pictures and videos in, `FaceParams` and landmark maps out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from reenact.face.fitting import FitConfig, fit_params
from reenact.face.head_model import HeadModel
from reenact.face.identity import IdentityNet
from reenact.face.landmark_map import landmark_map
from reenact.face.params import FaceParams
from reenact.face.points import five_points_from_points478
from reenact.face.tracker import FaceTracker, TrackedFaces

Frames = Iterable[np.ndarray]
Progress = Callable[[int], None]
"""Called with the number of frames done so far."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackResult:
    """One face over N frames, in frame pixels.

    params (N) and landmarks (N, 68, 2) of the fitted head model; found (N,) bool. Frames without
    a face repeat the last one with a face (the first one, at the beginning). If no frame has a
    face they are the mean head at pixel (0, 0).
    """

    params: FaceParams
    landmarks: np.ndarray
    found: np.ndarray

    def __len__(self) -> int:
        return len(self.found)


class FaceStack(Protocol):
    """What the rest of the project knows of a face tracker."""

    def track_image(self, frame: np.ndarray) -> TrackResult: ...

    def track_video(
        self, frames: Frames, fps: float, progress: Progress | None = None
    ) -> TrackResult: ...

    def landmark_map(self, params: FaceParams, size: int) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """`chunk`: frames in memory at a time. `identity_frames`: frames, spread over a video, from
    which its one identity is fitted. `steadying`: sigma in seconds of the Gaussian that calms
    small jitter, 0 for none; `*_jitter`: changes below it are calmed, larger ones are kept
    (radians; shares of the scale; expression units)."""

    chunk: int = 16
    identity_frames: int = 24
    steadying: float = 0.06
    rotation_jitter: float = 0.015
    place_jitter: float = 0.015
    expression_jitter: float = 0.04
    gaze_jitter: float = 0.06
    fit: FitConfig = field(default_factory=FitConfig)


class OpenFaceStack:
    """Tracker, head model and identity net with free licences, behind the `FaceStack` protocol."""

    def __init__(
        self, device: str | torch.device = "cpu", config: StackConfig | None = None
    ) -> None:
        self.device = torch.device(device)
        self.config = config or StackConfig()
        self.tracker = FaceTracker(self.device)
        self.head_model = HeadModel().to(self.device)
        self._identity_net: IdentityNet | None = None

    def track_image(self, frame: np.ndarray) -> TrackResult:
        """The largest face of `frame` (H, W, 3) uint8. Without one `found` is False."""
        with torch.no_grad():
            tracked = self.tracker.track_images(self.tracker.images(frame))
        params = fit_params(tracked, self.head_model, config=self.config.fit)
        return self._result(params, tracked.found.cpu().numpy())

    def track_images(self, images: Tensor) -> TrackResult:
        """images (B, 3, H, W) in [-1, 1], each on its own, each with its own identity."""
        with torch.no_grad():
            tracked = self.tracker.track_images(images)
        params = fit_params(tracked, self.head_model, config=self.config.fit)
        return self._result(params, tracked.found.cpu().numpy())

    def track_video(
        self, frames: Frames, fps: float, progress: Progress | None = None
    ) -> TrackResult:
        """Follow one face through `frames` (each (H, W, 3) uint8, all of one size).

        The frames are read once and not kept. One identity is fitted for the whole video.
        Raises ValueError when there is no frame.
        """
        video = self.tracker.video()
        parts: list[TrackedFaces] = []
        done = 0
        for chunk in _chunks(frames, self.config.chunk):
            parts.append(_without_device(video.update(chunk)))
            done += len(chunk)
            if progress is not None:
                progress(done)
        if not parts:
            raise ValueError("the video has no frames")
        tracked = TrackedFaces.cat(parts)
        found = tracked.found.numpy()
        if not found.any():
            return self._result(FaceParams.neutral(len(found)), found)
        here = np.flatnonzero(found)
        spread = np.unique(np.linspace(0, len(here) - 1, self.config.identity_frames).round())
        some = torch.from_numpy(here[spread.astype(int)])
        shared = fit_params(
            tracked[some], self.head_model, shared_identity=True, config=self.config.fit
        )
        fits = [
            fit_params(
                tracked[i : i + 64], self.head_model, shared.identity[0], config=self.config.fit
            )
            for i in range(0, len(tracked), 64)
        ]
        params = fill_gaps(FaceParams.cat(fits), found)
        return self._result(steadied(params, fps, self.config), found)

    def landmark_map(self, params: FaceParams, size: int) -> Tensor:
        """(B, 3, size, size) in [-1, 1] on the stack's device; `params` in pixels of that map."""
        params = params.to(self.device)
        return landmark_map(self.head_model.landmarks(params), self.head_model.pupils(params), size)

    def identity(self, images: Tensor, five_points: Tensor | None = None) -> Tensor:
        """Who it is: (B, 128) of unit length from images (B, 3, H, W); zeros where no face is."""
        if self._identity_net is None:
            self._identity_net = IdentityNet().to(self.device)
        images = images.to(self.device)
        if five_points is not None:
            return self._identity_net(images, five_points)
        tracked = self.tracker.track_images(images)
        code = self._identity_net(images, five_points_from_points478(tracked.points))
        return code * tracked.found[:, None]

    def _result(self, params: FaceParams, found: np.ndarray) -> TrackResult:
        params = params.to(self.device)
        with torch.no_grad():
            landmarks = self.head_model.landmarks(params).cpu().numpy()
        return TrackResult(params=params, landmarks=landmarks, found=found)


def fill_gaps(params: FaceParams, found: np.ndarray) -> FaceParams:
    """Every frame without a face takes the last one with a face; at the start, the first one."""
    at = np.where(found, np.arange(len(found)), -1)
    last = np.maximum.accumulate(at)
    last[last < 0] = int(np.argmax(found))
    return params[torch.from_numpy(last)]


def steadied(params: FaceParams, fps: float, config: StackConfig) -> FaceParams:
    """Calm small jitter over time and leave real movements alone; the identity is not touched.

    Each curve moves towards its Gaussian mean where it is closer to it than the jitter size, and
    keeps its own value where it is farther (a blink, a turn): a + r * r^2 / (r^2 + jitter^2).
    """
    sigma = config.steadying * fps
    if sigma <= 0 or len(params) < 2:
        return params

    def calm(curve: Tensor, jitter: Tensor | float) -> Tensor:
        values = curve.detach().cpu().double().numpy()
        smooth = gaussian_filter1d(values, sigma, axis=0, mode="nearest")
        rest = values - smooth
        size = np.asarray(jitter)
        calmed = smooth + rest * rest**2 / (rest**2 + size**2)
        return torch.from_numpy(calmed).to(curve)

    rotation = torch.from_numpy(np.unwrap(params.rotation.detach().cpu().double().numpy(), axis=0))
    place = (params.scale.median() * config.place_jitter).item()
    return replace(
        params,
        rotation=calm(rotation.to(params.rotation), config.rotation_jitter),
        translation=calm(params.translation, place),
        scale=calm(params.scale.log(), config.place_jitter).exp(),
        expression=calm(params.expression, config.expression_jitter).clamp(0, 1),
        gaze=calm(params.gaze, config.gaze_jitter),
    )


def _chunks(frames: Frames, size: int) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    for frame in frames:
        held.append(frame)
        if len(held) == size:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def _without_device(tracked: TrackedFaces) -> TrackedFaces:
    return TrackedFaces(
        found=tracked.found.cpu(),
        points=tracked.points.cpu(),
        blendshapes=tracked.blendshapes.cpu(),
        presence=tracked.presence.cpu(),
        rois=tracked.rois.cpu(),
    )
