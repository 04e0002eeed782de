"""The open face stack for live pictures: each frame is read as it comes, without later frames."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from reenact.face.crop import FollowingCrop, keep_heads_inside
from reenact.face.head_model import HeadModel
from reenact.face.open.brows import with_whole_brows
from reenact.face.open.fitting import FitConfig, fit_params
from reenact.face.open.following import VideoTracker
from reenact.face.open.tracker import FaceTracker
from reenact.face.params import FaceParams
from reenact.face.stack import Frame, TargetMotion, Which
from reenact.face.steadying import OneEuro

REMEMBERED = 300
"""So many of the last frames say how the person's brows are at rest."""


class OpenLiveTracker:
    """`LiveTracker` of `FaceParams`.

    The identity is fitted to the first frame with a face, and stays. Small jitter is calmed with
    one-euro filters.
    """

    def __init__(
        self,
        tracker: FaceTracker,
        head_model: HeadModel,
        size: int,
        jitter: dict[str, float],
        which: Which = "largest",
        smoothing: float = 1.0,
        fit: FitConfig | None = None,
    ) -> None:
        """jitter: for each field but the identity, the size of a change that counts as jitter."""
        self._video = VideoTracker(tracker, which)
        self._head_model = head_model
        self._fit = fit
        self._jitter, self._smoothing = jitter, smoothing
        self._identity: Tensor | None = None
        self._shot = -1
        self._brows: deque[tuple[Tensor, Tensor]] = deque(maxlen=REMEMBERED)
        self._filters: dict[str, OneEuro] = {}
        self._scale = 0.0  # of the shot's first frame; places are calmed in units of it
        self._crop = FollowingCrop(size)
        self._last: TargetMotion[FaceParams] | None = None

    def update(self, frame: Frame, time: float) -> TargetMotion[FaceParams] | None:
        """See `LiveTracker`."""
        seen = self._video.update(frame[None])
        person, shot = int(seen.person[0]), int(seen.shot[0])
        if person != 0:
            if self._last is None:
                return None
            return replace(self._last, found=np.array([False]), person=np.array([person]))
        if shot != self._shot:
            self._shot = shot
            self._filters = {name: OneEuro(self._smoothing) for name in self._jitter}
            self._crop = FollowingCrop(self._crop.size)
            self._scale = 0.0
        params = fit_params(seen, self._head_model, self._identity, config=self._fit)
        self._identity = params.identity[0] if self._identity is None else self._identity
        params = self._calmed(self._with_whole_brows(params, seen.blendshapes), time)
        with torch.no_grad():
            landmarks = self._head_model.landmarks(params).cpu().numpy()
        crops, followed = keep_heads_inside(
            [self._crop.update(landmarks[0], time)], landmarks, np.array([True])
        )
        self._last = TargetMotion(
            params=params.to("cpu").transformed(crops[0].crop_from_frame),
            crops=crops,
            windows=crops,
            found=np.array([True]),
            person=np.array([0]),
            shot=np.array([shot]),
            crop_followed=followed,
        )
        return self._last

    def _with_whole_brows(self, params: FaceParams, scores: Tensor) -> FaceParams:
        """As for films, but rest is the median of the frames so far."""
        self._brows.append((params.expression.cpu(), scores.cpu()))
        fitted, read = (torch.cat(rows) for rows in zip(*self._brows, strict=True))
        usual = torch.arange(len(self._brows))
        moved = with_whole_brows(fitted, read, usual)[-1:]
        return replace(params, expression=moved.to(params.expression))

    def _calmed(self, params: FaceParams, time: float) -> FaceParams:
        self._scale = self._scale or float(params.scale)
        values = params.tensors() | {"scale": params.scale.log()}
        values["translation"] = params.translation / self._scale
        calm = {
            name: self._filters[name](values[name] / jitter, time) * jitter
            for name, jitter in self._jitter.items()
        }
        return replace(
            params,
            rotation=calm["rotation"],
            translation=calm["translation"] * self._scale,
            scale=calm["scale"].exp(),
            expression=calm["expression"].clamp(0, 1),
            gaze=calm["gaze"],
        )
