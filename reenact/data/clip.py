"""What training and evaluation know of clips: frames, face masks and face parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from reenact.face.batch import FaceBatch

PHOTO_REACH = 2
"""The photo of a clip is a square so many times as wide as the crop in its middle."""


AlphaPart = Literal["foreground", "head", "hidden"]


class CrossRecord(NamedTuple):
    """A rendered reenactment: the person of a clip with the motion of a frame of another clip."""

    source_frame: int
    target_clip: str
    target_frame: int


class Clip(Protocol):
    """N frames of one person in face crops of side S. A frame is read when it is asked for.

    Every reading method raises UserError when the file is damaged. The line names the file and
    what to do.
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
        """(S, S) uint8, 255 on the face, which a background loss leaves out."""
        ...

    @property
    def params(self) -> FaceBatch:
        """The faces of the N frames, in crop pixels where the face stack has places."""
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

    def alpha(self, part: AlphaPart, index: int) -> np.ndarray | None:
        """(S, S) uint8, or None where it is not known.

        foreground: the person. head: the person without clothes. hidden: the surface that frame 0
        does not show.
        """
        ...

    def cross_alpha(self, part: AlphaPart, index: int) -> np.ndarray | None:
        """The same of `cross[index]`."""
        ...

    @property
    def has_photo(self) -> bool:
        """Whether `photo` is there; only new synthetic clips have it."""
        ...

    def photo(self) -> np.ndarray:
        """The picture around frame 0: (2 S, 2 S, 4) uint8, RGB and the person's alpha.

        Frame 0 is the square of side S in the middle.
        """
        ...

    def crop_from_frame(self, index: int) -> np.ndarray:
        """(3, 3), pixels of the film to pixels of the crop. Only for clips with a photo."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClipSet:
    """The clips of one split, in the order of the manifest.

    root: the folder that holds the manifest.
    size: side of the crops in pixels.
    fps: frames a second as the clips hold them; the median where clips differ.
    face: the face stack that read the parameters, by its name in `factory.STACKS`.
    clips: may be empty.
    splits: all splits of the manifest.
    fingerprint: sha256 of the manifest.
    """

    root: Path
    size: int
    fps: float
    face: str
    clips: Sequence[Clip]
    splits: list[str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def by_name(self) -> dict[str, Clip]:
        return {clip.name: clip for clip in self.clips}
