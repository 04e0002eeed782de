"""What training and evaluation know of a clip: frames, face masks and face parameters."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from reenact.face.batch import FaceBatch


class CrossRecord(NamedTuple):
    """A rendered reenactment: the source frame under the pose of another clip's frame."""

    source_frame: int
    target_clip: str
    target_frame: int


class Clip(Protocol):
    """N frames of one person in face crops of side S. Frames are read when asked for.

    Every reading method raises UserError, naming file and cure, when the file is damaged.
    """

    @property
    def name(self) -> str: ...

    @property
    def person(self) -> str: ...

    @property
    def split(self) -> str: ...

    @property
    def num_frames(self) -> int: ...

    def frame(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        ...

    def face_mask(self, index: int) -> np.ndarray:
        """(S, S) uint8, 255 where the face is: what a background loss leaves out."""
        ...

    @property
    def params(self) -> FaceBatch:
        """N faces in the terms of the crops."""
        ...

    @property
    def landmarks(self) -> np.ndarray:
        """(N, 68, 2) float32 in crop pixels."""
        ...

    @property
    def cross(self) -> list[CrossRecord]:
        """This person's rendered reenactments; only synthetic clips have some."""
        ...

    def cross_frame(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB of `cross[index]`."""
        ...

    def cross_mask(self, index: int) -> np.ndarray:
        """(S, S) uint8 face mask of `cross[index]`."""
        ...
