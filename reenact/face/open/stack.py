"""The open face stack: pictures and videos in, `FaceParams` and landmark maps out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from reenact.face.crop import (
    FaceCrop,
    crop_from_landmarks,
    crops_for_video,
    keep_heads_inside,
    warp_to_crop,
)
from reenact.face.expressions import BLINKS
from reenact.face.open.brows import with_whole_brows
from reenact.face.open.choosing import FaceChoice, find_faces
from reenact.face.open.fitting import FitConfig, fit_params
from reenact.face.open.following import FollowedFaces, VideoTracker
from reenact.face.open.live import OpenLiveTracker
from reenact.face.open.model import OpenFaceModel
from reenact.face.open.tracker import FaceTracker
from reenact.face.params import FaceParams
from reenact.face.points import five_points_from_points478
from reenact.face.shots import drivers, hold_last, runs
from reenact.face.stack import (
    FoundFace,
    Frame,
    SourceFace,
    TargetMotion,
    Watch,
    Which,
    chunks,
)
from reenact.face.steadying import blink_weights, bridged, calmed
from reenact.threads import in_order, torch_threads


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackResult:
    """One face over N frames, in frame pixels.

    params (N) and landmarks (N, 68, 2) of the fitted head model; found (N,) bool, person and shot
    (N,) as in `TargetMotion`. Frames that are not found repeat the last one that is (the first
    one, at the beginning). If no frame has a face they are the mean head at pixel (0, 0).
    """

    params: FaceParams
    landmarks: np.ndarray
    found: np.ndarray
    person: np.ndarray
    shot: np.ndarray

    def __len__(self) -> int:
        return len(self.found)


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """How a video is read.

    chunk_bytes: frames of about so many bytes are in memory at a time, but at least 16.
    identity_frames: frames, spread over a video, from which its one identity is fitted.
    steadying: sigma in seconds of the Gaussian that calms small jitter; 0 for none.
    *_jitter: smaller changes are calmed, larger ones are kept (radians; shares of the scale;
        expression units).
    blink_shift: the largest change of the head that a blink can fake, in units of the jitter.
    """

    chunk_bytes: int = 128_000_000
    identity_frames: int = 24
    steadying: float = 0.06
    rotation_jitter: float = 0.015
    place_jitter: float = 0.015
    expression_jitter: float = 0.04
    gaze_jitter: float = 0.06
    blink_shift: float = 6.0
    fit: FitConfig = field(default_factory=FitConfig)


class OpenFaceStack(OpenFaceModel):
    """`FaceStack` of `FaceParams`: the open face model with its tracker and its identity net."""

    num_passes = 1

    def __init__(
        self, device: str | torch.device = "cpu", config: StackConfig | None = None
    ) -> None:
        super().__init__(device)
        self.config = config or StackConfig()
        self.tracker = FaceTracker(self.device)

    def faces(self, photo: Frame) -> list[FoundFace]:
        return [face for face, _ in find_faces(self.tracker, photo)]

    def track_image(self, frame: np.ndarray, which: Which = "largest") -> TrackResult:
        """The chosen face of `frame` (H, W, 3) uint8. Without one `found` is False."""
        roi = FaceChoice(self.tracker, which).roi(frame)
        if roi is None:
            return self._result(FaceParams.neutral(), np.zeros(1, dtype=bool))
        return self._track_roi(frame, roi)

    def _track_roi(self, frame: np.ndarray, roi: Tensor) -> TrackResult:
        """The face in the square `roi` (4,) of a frame."""
        with torch.no_grad():
            tracked = self.tracker.mesh_from_rois(self.tracker.images(frame), roi[None])
        params = fit_params(tracked, self.head_model, config=self.config.fit)
        return self._result(params, tracked.found.cpu().numpy())

    def track_images(self, images: Tensor) -> TrackResult:
        """images (B, 3, H, W) in [-1, 1], each on its own, each with its own identity."""
        with torch.no_grad():
            tracked = self.tracker.track_images(images)
        params = fit_params(tracked, self.head_model, config=self.config.fit)
        return self._result(params, tracked.found.cpu().numpy())

    def track_video(
        self,
        frames: Iterable[Frame],
        fps: float,
        which: Which = "largest",
        smoothing: float = 1.0,
    ) -> TrackResult:
        """Follow the chosen person through `frames` (each (H, W, 3) uint8, all of one size).

        The frames are read once and not kept. One identity is fitted for the whole video. See
        `following` for what happens at cuts and with several people. smoothing: see
        `FaceStack.target_motion`. Raises ValueError when there is no frame.
        """
        video = VideoTracker(self.tracker, which)
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise ValueError("the video has no frames")
        size = max(16, self.config.chunk_bytes // first.nbytes)
        # The face is searched in the first frame. Meanwhile others are read ahead.
        parts = [
            video.update(chunk).cpu() for chunk in itertools.chain([[first]], chunks(frames, size))
        ]
        tracked = FollowedFaces.cat(parts)
        person, shot = tracked.person.numpy(), tracked.shot.numpy()
        found = drivers(person, shot)
        if not found.any():
            return self._result(FaceParams.neutral(len(found)), found)
        held = hold_last(found)
        people = np.unique(person[found])
        fits = FaceParams.cat([self._fit_one_person(tracked, found, who) for who in people])
        params = fits[np.searchsorted(people, person[held]) * len(found) + held]
        # A held stretch at the start of a shot is calmed apart from what follows.
        parts_of_film = np.stack([shot, shot[held], person[held]], 1)
        config = replace(self.config, steadying=smoothing * self.config.steadying)
        params = FaceParams.cat(
            [steadied(params[part], fps, config) for part in runs(parts_of_film)]
        )
        return self._result(params, found, person, shot)

    def _fit_one_person(self, tracked: FollowedFaces, found: np.ndarray, who: int) -> FaceParams:
        """All frames fitted with the identity of person `who`."""
        here = np.flatnonzero(found & (tracked.person.numpy() == who))
        spread = np.unique(np.linspace(0, len(here) - 1, self.config.identity_frames).round())
        some = torch.from_numpy(here[spread.astype(int)])
        with torch_threads(1):  # many small operations
            shared = fit_params(
                tracked[some], self.head_model, shared_identity=True, config=self.config.fit
            )

        def fit(start: int) -> FaceParams:
            part = tracked[start : start + 64]
            return fit_params(part, self.head_model, shared.identity[0], config=self.config.fit)

        params = FaceParams.cat(list(in_order(fit, range(0, len(tracked), 64))))
        scores = tracked.blendshapes.cpu()
        expression = with_whole_brows(params.expression, scores, torch.from_numpy(here))
        return replace(params, expression=expression)

    def source_face(
        self, photo: Frame, size: int, *, which: Which = "largest"
    ) -> SourceFace[FaceParams] | None:
        """The chosen face of a photo in an FFHQ crop of side `size`; None if it is not there."""
        tracked = self.track_image(photo, which)
        return _source(photo, tracked, size) if tracked.found.any() else None

    def source_faces(
        self, photo: Frame, size: int
    ) -> list[tuple[FoundFace, SourceFace[FaceParams]]]:
        found = find_faces(self.tracker, photo)
        return [(face, _source(photo, self._track_roi(photo, roi), size)) for face, roi in found]

    def target_motion(
        self,
        frames: Iterable[Frame],
        fps: float,
        size: int,
        watch: Watch | None = None,
        *,
        which: Which = "largest",
        smoothing: float = 1.0,
    ) -> TargetMotion[FaceParams] | None:
        """The motion of the chosen person, in calm crops (`crops_for_video`). Reads once."""
        frames = watch(frames, "tracking") if watch else frames
        tracked = self.track_video(frames, fps, which, smoothing)
        if not tracked.found.any():
            return None
        crops, followed = keep_heads_inside(
            crops_for_video(
                tracked.landmarks, tracked.found, size, fps, shots=tracked.shot, one_angle=True
            ),
            tracked.landmarks,
            tracked.found,
        )
        # Held in crop pixels: in frame pixels the crop, which goes on, would move a held face.
        held = hold_last(tracked.found)
        matrices = np.stack([crop.crop_from_frame for crop in crops])[held]
        params = tracked.params.to("cpu")[held].transformed(matrices)
        return TargetMotion(
            params=params,
            crops=crops,
            windows=crops,
            found=tracked.found,
            person=tracked.person,
            shot=tracked.shot,
            crop_followed=followed,
        )

    def live_tracker(
        self, size: int, *, which: Which = "largest", smoothing: float = 1.0
    ) -> OpenLiveTracker:
        config = self.config
        jitter = {
            "rotation": config.rotation_jitter,
            "translation": config.place_jitter,
            "scale": config.place_jitter,
            "expression": config.expression_jitter,
            "gaze": config.gaze_jitter,
        }
        return OpenLiveTracker(
            self.tracker, self.head_model, size, jitter, which, smoothing, config.fit
        )

    def cut(self, frame: Frame, crop: FaceCrop) -> Frame:
        return warp_to_crop(frame, crop)

    def read_crops(self, images: Tensor) -> list[FaceParams | None]:
        result = self.track_images(images.to(self.device))
        found = result.found.tolist()
        return [result.params[i] if ok else None for i, ok in enumerate(found)]

    def identity(self, images: Tensor, five_points: Tensor | None = None) -> Tensor:
        """Who it is: (B, 128) of unit length from images (B, 3, H, W); zeros where no face is."""
        images = images.to(self.device)
        if five_points is not None:
            return self.tracker.identity_net()(images, five_points)
        tracked = self.tracker.track_images(images)
        code = self.tracker.identity_net()(images, five_points_from_points478(tracked.points))
        return code * tracked.found[:, None]

    def _result(
        self,
        params: FaceParams,
        found: np.ndarray,
        person: np.ndarray | None = None,
        shot: np.ndarray | None = None,
    ) -> TrackResult:
        """Without `person` and `shot`: one person in one shot."""
        params = params.to(self.device)
        with torch.no_grad():
            landmarks = self.head_model.landmarks(params).cpu().numpy()
        return TrackResult(
            params=params,
            landmarks=landmarks,
            found=found,
            person=found.astype(int) - 1 if person is None else person,
            shot=np.zeros(len(found), dtype=int) if shot is None else shot,
        )


def _source(photo: Frame, tracked: TrackResult, size: int) -> SourceFace[FaceParams]:
    """One tracked face of a photo in an FFHQ crop of side `size`."""
    crop = crop_from_landmarks(tracked.landmarks[0], size)
    return SourceFace(
        photo=photo,
        crop=crop,
        crop_frame=warp_to_crop(photo, crop),
        params=tracked.params.to("cpu").transformed(crop.crop_from_frame),
    )


def steadied(params: FaceParams, fps: float, config: StackConfig) -> FaceParams:
    """One shot without small jitter over time (`calmed`); real movements stay.

    Place, size and pose of the head do not follow blinks (`bridged`). The identity stays as it is.
    """
    sigma = config.steadying * fps
    if sigma <= 0 or len(params) < 2:
        return params
    blinks = blink_weights(params.expression[:, BLINKS].mean(1), fps)

    def calm(curve: Tensor, jitter: float) -> Tensor:
        return calmed(curve, sigma, jitter)

    def calm_head(curve: Tensor, jitter: float) -> Tensor:
        return calm(bridged(curve, blinks, fps, config.blink_shift * jitter), jitter)

    rotation = torch.from_numpy(np.unwrap(params.rotation.detach().cpu().double().numpy(), axis=0))
    place = (params.scale.median() * config.place_jitter).item()
    return replace(
        params,
        rotation=calm_head(rotation.to(params.rotation), config.rotation_jitter),
        translation=calm_head(params.translation, place),
        scale=calm_head(params.scale.log(), config.place_jitter).exp(),
        expression=calm(params.expression, config.expression_jitter).clamp(0, 1),
        gaze=calm(params.gaze, config.gaze_jitter),
    )
