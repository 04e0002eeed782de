"""All faces of a picture, and the choice of one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.open.tracker import FaceTracker
from reenact.face.people import People
from reenact.face.points import five_points_from_points478
from reenact.face.stack import FoundFace, Frame, Which, no_such_face

_PLACES: dict[str, Callable[[FoundFace], float]] = {
    "leftmost": lambda face: face.box[0] + face.box[2],
    "rightmost": lambda face: -face.box[0] - face.box[2],
    "topmost": lambda face: face.box[1] + face.box[3],
}


@torch.no_grad()
def find_faces(tracker: FaceTracker, frame: Frame) -> list[tuple[FoundFace, Tensor]]:
    """All faces of one frame (H, W, 3) with their rois (4,), from left to right.

    Small faces are looked for too, which takes seconds for a large picture.
    """
    image, found = tracker.images(frame), []
    for roi in tracker.faces(frame, thorough=True):
        tracked = tracker.mesh_from_rois(image, roi[None])
        if not tracked.found[0]:
            continue
        points = tracked.points[0, :, :2]
        low, high = points.amin(0).tolist(), points.amax(0).tolist()
        found.append(((low[0], low[1], high[0], high[1]), roi))
    found.sort(key=lambda face: face[0][0] + face[0][2])
    return [(FoundFace(number=k, box=box), roi) for k, (box, roi) in enumerate(found, 1)]


class FaceChoice:
    """Picks one face of a picture as `which` says.

    Raises UserError for a word that is none of the choices, and for a reference picture without a
    face.
    """

    def __init__(self, tracker: FaceTracker, which: Which) -> None:
        if isinstance(which, str) and which not in ("largest", *_PLACES):
            names = ", ".join(["largest", *_PLACES])
            raise UserError(f"face {which!r}: choose {names}, a number or a reference picture")
        self._tracker, self._which = tracker, which
        self._code: Tensor | None = None
        if isinstance(which, np.ndarray):
            found, rois = tracker.detect(which)
            if not found[0]:
                raise UserError("the reference picture shows no face: take one that does")
            self._code = self._identity(which, rois[0])

    def roi(self, frame: Frame) -> Tensor | None:
        """The roi (4,) of the chosen face in a frame (H, W, 3).

        None when the frame has no face, or not the person of the reference picture. Raises
        UserError for a number beyond the faces of a frame that has some.
        """
        if isinstance(self._which, str) and self._which == "largest":
            found, rois = self._tracker.detect(frame)
            return rois[0] if found[0] else None
        faces = find_faces(self._tracker, frame)
        if not faces:
            return None
        if self._code is not None:
            codes = torch.stack([self._identity(frame, roi) for _, roi in faces])
            likeness = codes @ self._code
            best = int(likeness.argmax())
            return faces[best][1] if likeness[best] >= People.SAME else None
        if isinstance(self._which, int):
            if not 1 <= self._which <= len(faces):
                raise UserError(no_such_face(self._which, len(faces)))
            return faces[self._which - 1][1]
        assert isinstance(self._which, str)
        place = _PLACES[self._which]
        return min(faces, key=lambda face: place(face[0]))[1]

    def _identity(self, frame: Frame, roi: Tensor) -> Tensor:
        image = self._tracker.images(frame)
        with torch.no_grad():
            points = self._tracker.mesh_from_rois(image, roi[None]).points
            return self._tracker.identity_net()(image, five_points_from_points478(points))[0]
