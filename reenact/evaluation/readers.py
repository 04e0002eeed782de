"""Readers of faces. Both work on single pictures: no picture helps another.

`TrackerReader` is the judge: it reads what the metrics compare. `StackReader` reads the parameters
that the evaluated networks need (`params: tracked`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.head_model import HeadModel
from reenact.face.identity import IdentityNet
from reenact.face.open.fitting import fit_params
from reenact.face.open.tracker import FaceTracker, TrackedFaces
from reenact.face.points import five_points_from_points478, landmarks_from_points
from reenact.face.stack import FaceStack


@dataclass(frozen=True, kw_only=True)
class FaceReading:
    """Faces read from B images. Rows where `found` is false hold no meaningful values."""

    found: Tensor  # (B,) bool
    rotation: Tensor  # (B, 3) radians
    expression: Tensor  # (B, 52) in [0, 1]
    gaze: Tensor  # (B, 2) radians, relative to the head
    landmarks: Tensor  # (B, 68, 2) pixels
    identity: Tensor  # (B, D) unit embeddings

    def __getitem__(self, rows: list[int]) -> "FaceReading":
        """The chosen faces, in the order of `rows`."""
        return FaceReading(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


class FaceReader(Protocol):
    """Anything that reads faces from images (B, 3, H, W) in [-1, 1]."""

    def read(self, images: Tensor) -> FaceReading: ...


class PictureTracker(Protocol):
    """Anything that finds the points and scores of the face in each picture."""

    @property
    def device(self) -> torch.device: ...

    def track_images(self, images: Tensor) -> TrackedFaces:
        """Images (B, 3, H, W) in [-1, 1], each on its own."""
        ...


class ParamsReader(Protocol):
    """Reads faces as the parameters that the evaluated networks take."""

    def params(self, images: Tensor, fallback: FaceBatch) -> FaceBatch:
        """Images (B, 3, S, S) to B faces. Where no face is found, the row of `fallback` is used."""
        ...


class TrackerReader:
    """A face tracker, the fit of the head model and an identity network.

    Landmarks and expression are the tracker's own points and scores. Rotation and gaze come from
    the fit of the head model. On rendered heads of 64 pixels the angles of the fit are off by 1.5
    degrees on average. Angles from the points alone are off by 3.6 degrees.
    """

    def __init__(
        self,
        device: torch.device | str = "cpu",
        identity: nn.Module | None = None,
        tracker: PictureTracker | None = None,
    ) -> None:
        """identity: takes images and five points, returns embeddings. None takes SFace.

        tracker: None takes the open tracker.
        """
        self.tracker: PictureTracker = FaceTracker(device) if tracker is None else tracker
        device = self.tracker.device
        self.identity = (IdentityNet() if identity is None else identity).to(device).eval()
        self.head_model = HeadModel().to(device)

    @torch.no_grad()
    def read(self, images: Tensor) -> FaceReading:
        """Images (B, 3, H, W) in [-1, 1], on any device. The result is on the tracker's device."""
        images = images.to(self.tracker.device)
        tracked = self.tracker.track_images(images)
        points = tracked.points
        fitted = fit_params(tracked, self.head_model).to(points.device)
        return FaceReading(
            found=tracked.found,
            rotation=fitted.rotation,
            expression=tracked.blendshapes,
            gaze=fitted.gaze,
            landmarks=landmarks_from_points(points),
            identity=self.identity(images, five_points_from_points478(points)),
        )


class StackReader:
    """The face stack of the evaluated networks; a `ParamsReader`."""

    def __init__(self, face: FaceStack[Any]) -> None:
        self.face = face

    @torch.no_grad()
    def params(self, images: Tensor, fallback: FaceBatch) -> FaceBatch:
        """Images (B, 3, S, S) to B faces. Where no face is found, the row of `fallback` is used.

        Raises UserError when a face is lost and `fallback` holds parameters of the other stack.
        """
        read = self.face.read_crops(images)
        rows = [(fallback[i] if face is None else face).to("cpu") for i, face in enumerate(read)]
        if len({type(row) for row in rows}) > 1:
            raise UserError(
                "params 'tracked': no face found in a crop, and the clips hold parameters of the "
                "other face stack; prepare them with the stack that is evaluated"
            )
        return cat_faces(rows)


def cat_faces(parts: Sequence[FaceBatch]) -> FaceBatch:
    """Batches of one face stack as one batch."""
    return type(parts[0]).cat(parts)
