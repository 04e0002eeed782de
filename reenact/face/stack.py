"""What the rest of the project knows of a face stack.

A face stack has two parts. Its `FaceModel` works on parameters alone: it gives a person the motion
of another one, and draws faces. It loads the head model and nothing else. The `FaceStack` adds the
networks that read pictures. `reenact.face.factory` makes both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from reenact.errors import counted
from reenact.face.batch import FaceBatch
from reenact.face.crop import FaceCrop

if TYPE_CHECKING:  # the motion field compiles functions, which configs and readers do not need
    from reenact.face.control import Control, Sliders
    from reenact.face.surface.layer_field import LayerField
    from reenact.face.surface.layer_source import LayerSource
    from reenact.face.surface.motion_field import MotionField

Frame = np.ndarray
"""(H, W, 3) uint8 RGB."""

Watch = Callable[[Iterable[Frame], str], Iterable[Frame]]
"""Hands frames through and shows the progress. The text says what is being done."""

Place = Literal["largest", "leftmost", "rightmost", "topmost"]
Which = Place | int | Frame
"""Which face of a picture is meant: by size, by place, by `FoundFace.number`, or the person that a
reference picture (H, W, 3) shows as its largest face."""

Params = TypeVar("Params", bound=FaceBatch)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FoundFace:
    """One of the faces of a picture.

    number: from 1 on, from left to right. box: left, top, right and bottom of the face, from brows
    to chin and a part of the forehead, in pixels.
    """

    number: int
    box: tuple[float, float, float, float]

    @property
    def side(self) -> float:
        """The longer side of the box."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


def no_such_face(number: int, count: int) -> str:
    """The text of the error for a number that none of the `count` faces of a picture has."""
    choices = ": choose 1" if count == 1 else f", counted from the left: choose 1 to {count}"
    return f"face {number} was chosen, but the picture has {counted(count, 'face')}{choices}"


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceFace(Generic[Params]):
    """The one face of a photo (H, W, 3).

    crop: the square that the networks see; crop_frame: its pixels, uint8 (S, S, 3); params: one
    face, in the pixels of that crop.
    neighbours: (K, 4) centre x and y, width and height of the boxes (`FoundFace`) of all faces of
    the photo, this one first, in units of the crop's side; None: they were not looked for.
    alpha: (H, W) uint8, how opaque a photo with transparent parts is; `photo` then shows it over
    white.
    """

    photo: Frame
    crop: FaceCrop
    crop_frame: Frame
    params: Params
    neighbours: np.ndarray | None = None
    alpha: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetMotion(Generic[Params]):
    """The motion of one face over N frames.

    params: N faces, each in the pixels of its crop.
    crops: the N squares that the networks see.
    windows: N squares that move more calmly than the head, so that the head's own place and roll
        can be seen in them. They equal `crops` where the stack already crops calmly.
    found: (N,) bool, whether the face of the frame drives the result; at least one does. The other
        frames hold the params of the last frame that was found. Before the first one they hold
        those of the first.
    person: (N,) int, who is seen: 0 for the first person of the film, 1, 2, ... for others, -1 for
        nobody.
    shot: (N,) int, the number of the shot.
    crop_followed: (N,) bool, where the calm crop would have lost the head, so that the crop
        followed the head at once.
    """

    params: Params
    crops: list[FaceCrop]
    windows: list[FaceCrop]
    found: np.ndarray
    person: np.ndarray
    shot: np.ndarray
    crop_followed: np.ndarray

    def __len__(self) -> int:
        return len(self.params)

    @property
    def first_found(self) -> int:
        return int(np.argmax(self.found))

    @property
    def num_missing(self) -> int:
        """Frames that hold the last pose, for want of a face or of the right person."""
        return int((~self.found).sum())

    @property
    def num_other_people(self) -> int:
        """Frames that hold the last pose because they show only other people."""
        return int((~self.found & (self.person >= 0)).sum())

    @property
    def num_newcomer(self) -> int:
        """Frames driven by another person, because the first one never came back after a cut."""
        return int((self.found & (self.person > 0)).sum())

    @property
    def num_cuts(self) -> int:
        return int(self.shot.max())

    @property
    def num_crop_followed(self) -> int:
        return int(self.crop_followed.sum())

    def warnings(self, role: Literal["target", "source"] = "target") -> list[str]:
        """One line for each thing that the user may not expect. role: what the video is."""
        is_target = role == "target"
        lines = []
        if self.num_missing:
            others = self.num_other_people
            what = f"show only other people ({others}) or no face" if others else "had no face"
            then = "the last pose was kept" if is_target else "they stay as they are"
            lines.append(f"{self.num_missing} of {len(self)} {role} frames {what}; {then}")
        if self.num_newcomer:
            verb = "drives" if is_target else "is animated in"
            lines.append(
                f"the first person of the {role} does not come back after a cut; another person "
                f"{verb} {self.num_newcomer} of {len(self)} frames"
            )
        if self.num_crop_followed and is_target:
            lines.append(
                f"the head moved far and fast in {self.num_crop_followed} of {len(self)} target "
                "frames; there the view follows it at once, so the result shows less of the motion"
            )
        return lines


class FaceModel(Protocol[Params]):
    """The part of a face stack that works on parameters alone. It loads no network that reads
    pictures. `size` is the side of the crop in whose pixels the parameters are.
    """

    def landmark_map(self, params: Params, size: int) -> Tensor:
        """The drawing for E_r: (B, 3, size, size) in [-1, 1]."""
        ...

    def landmarks(self, params: Params) -> Tensor:
        """(B, 68, 2) in crop pixels. Only for stacks that `StackEntry.has_places` names."""
        ...

    def outline(self, params: Params) -> Tensor:
        """Points round the face, forehead included: (B, 36, 2) in crop pixels, in the order of
        `points.FACE_OVAL`. For the same stacks.
        """
        ...

    def retarget(self, source: Params, target: Params) -> Params:
        """The source person (one, or as many as targets) with the targets' motion."""
        ...

    def retarget_relative(self, source: Params, target: Params, neutral: Params) -> Params:
        """The source face moved as the targets moved away from their `neutral` frame."""
        ...

    def controlled(
        self, source: Params, driven: Params, control: Control, target: Params | None = None
    ) -> Params:
        """The faces `driven` (N) under control; see `face.control`. Raises UserError for a stack
        that cannot do it.

        source: one face, or N. target: the N faces of the target person, for the openings of eyes
        and lips.
        """
        ...

    def posed(self, source: Params, sliders: Sliders) -> Params:
        """The source face with the sliders' changes; raises UserError likewise."""
        ...

    def head_region(self, params: Params, size: int) -> Tensor:
        """Where head and hair are, with room to turn: (B, 1, size, size) in [0, 1]."""
        ...

    def motion_field(
        self, source: Params, target: Params, size: int, resolution: int
    ) -> MotionField:
        """The field of side `resolution` that leads from each pixel of the result back to the
        source picture. `target` (B) shows the source person; `source` is B faces, or one for all.
        Raises UserError for a stack without a surface (`StackEntry.has_surface`).
        """
        ...

    def layer_source(
        self, source: Params, size: int, view: FaceCrop, picture: Tensor, cut: Tensor
    ) -> LayerSource:
        """What `layer_field` needs to know of a photo with one face; see `surface.layer_source`."""
        ...

    def layer_field(self, source: LayerSource, target: Params) -> LayerField:
        """The motion of the layers of a photo, for the same stacks as `motion_field`."""
        ...

    def motion_vector(self, source: Params, target: Params, size: int) -> Tensor:
        """The input (B, 120) of E_r's motion head: the motion of the source (B, or one for all) and
        of the targets. Raises UserError for a stack without one (`StackEntry.has_motion_vector`).
        """
        ...


class LiveTracker(Protocol[Params]):
    """Follows one person through the frames of a camera."""

    def update(self, frame: Frame, time: float) -> TargetMotion[Params] | None:
        """The next frame (H, W, 3), taken at `time` in seconds -> the motion of this one frame.

        All frames have one size. A frame that does not show the person holds the last one that did,
        with `found` False. None before the first frame with a face.
        """
        ...


class FaceStack(FaceModel[Params], Protocol[Params]):
    """A face model with the networks that read faces from pictures.

    num_passes: how often `target_motion` reads its frames.
    """

    num_passes: int

    def faces(self, photo: Frame) -> list[FoundFace]:
        """All faces of a photo, from left to right, for a numbered preview."""
        ...

    def source_face(
        self, photo: Frame, size: int, *, which: Which = "largest"
    ) -> SourceFace[Params] | None:
        """The chosen face of a photo in a crop of side `size`; None if it is not there.

        Raises UserError for a number beyond the faces that there are, and for a reference picture
        without a face.
        """
        ...

    def source_faces(self, photo: Frame, size: int) -> list[tuple[FoundFace, SourceFace[Params]]]:
        """All faces of a photo, from left to right, each in a crop of side `size`."""
        ...

    def target_motion(
        self,
        frames: Iterable[Frame],
        fps: float,
        size: int,
        watch: Watch | None = None,
        *,
        which: Which = "largest",
        smoothing: float = 1.0,
    ) -> TargetMotion[Params] | None:
        """Follow one person through `frames`, which may be read more than once.

        smoothing: how much small jitter over time is calmed: 0 = not at all, 1 = as usual, 2 =
        over twice the time.

        The person is chosen in the first frame that has a face; with a reference picture, in the
        first frame that shows this person. None if there is no such frame. Raises ValueError when
        there is no frame, UserError as `source_face` does.
        """
        ...

    def live_tracker(
        self, size: int, *, which: Which = "largest", smoothing: float = 1.0
    ) -> LiveTracker[Params]:
        """A tracker for live pictures, in crops of side `size`.

        which, smoothing: see `target_motion`. Raises UserError for a stack that cannot do it.
        """
        ...

    def cut(self, frame: Frame, crop: FaceCrop) -> Frame:
        """The pixels of `frame` that the networks see in `crop`: uint8 (S, S, 3)."""
        ...

    def read_crops(self, images: Tensor) -> list[Params | None]:
        """The faces of crops (B, 3, S, S) in [-1, 1], each read on its own and given in the pixels
        of its crop; None for a crop without a face.
        """
        ...


class OwnWeights(NamedTuple):
    """The reenactor's weights that were trained with a face stack.

    diffae: a second file for weights that lack the averaged autoencoder; None: there is none.
    """

    path: Path
    diffae: Path | None = None


@dataclass(frozen=True, kw_only=True)
class StackEntry:
    """What the factory knows of a face stack before it loads it.

    params: the class of its parameters.
    load_model, load_stack: make the two parts from the stack's config and a device. They import
        the networks late, and raise UserError or CheckpointError for missing or foreign files.
    weights: finds the reenactor's weights that belong to the stack, from its config.
    size: the only side of crops that the stack works at, in pixels; None: any.
    has_places: whether the parameters say where in the crop the face is (`FaceModel.landmarks` and
        `FaceModel.outline`).
    has_surface: whether there are `FaceModel.motion_field`, `layer_field` and `body`.
    has_motion_vector: whether there is a `FaceModel.motion_vector`.
    """

    params: type[FaceBatch]
    load_model: Callable[[Any, torch.device], FaceModel[Any]]
    load_stack: Callable[[Any, torch.device], FaceStack[Any]]
    weights: Callable[[Any], OwnWeights]
    size: int | None
    has_places: bool
    has_surface: bool
    has_motion_vector: bool


def chunks(frames: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` frames, or of what belongs to each frame."""
    held: list[T] = []
    for frame in frames:
        held.append(frame)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held
