"""Follows one person through a film: over cuts, past other people, and after the face was lost.

The rules:

- The film belongs to the first person that is found, or to the chosen one.
- While the face is in sight, each frame is read where the face was in the frame before.
- When the face is lost, or when the picture may have been cut, the identity net compares the faces
  that are there with the first person. Another person is never followed in the first one's place.
- Whoever was seen beside the first person is another person, even one who looks the same.

Each frame needs the square of the frame before, so frames are read one after the other. Where there
are two threads, the second one nevertheless reads the second half of some frames at the same time.
It begins a little before the half, with a square that is only roughly right. A wrong square makes
hardly any difference after some frames, and squares lie on a grid. So soon both threads read the
same squares, and what the second one has read is used. It is used only where its square is exactly
the right one. So results do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from reenact.face.open.choosing import FaceChoice
from reenact.face.open.tracker import MIN_PRESENCE, FaceTracker, TrackedFaces, same_face
from reenact.face.people import People
from reenact.face.points import five_points_from_points478, rois_from_points
from reenact.face.shots import Change, CutDetector, jumped
from reenact.face.stack import Which
from reenact.threads import torch_threads

_TILES_EVERY = 5  # frames, while the face is lost
_MAX_READS, _STILL = 8, 5e-4  # a new face is read again until its square moves by less, in sides
_LOOK_AGAIN_EVERY = 10  # frames: a face that was judged to be another person is judged again
_GRID = 8192
"""Squares lie on a grid with at least this many and less than twice as many steps to their side."""
_WARM_UP = 12
"""After so many frames a square that was roughly right is mostly the right one."""


@dataclass(frozen=True, kw_only=True)
class FollowedFaces(TrackedFaces):
    """One face per frame of a film. `found` says whether it is the first person.

    person (B,) long: 0 for the first person of the film, 1, 2, ... for others, -1 for nobody.
    Where only others are in sight the values are those of the one who was known first.
    shot (B,) long: the number of the shot, from 0 on.
    """

    person: Tensor
    shot: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reading:
    """What the landmark net sees in one square of one frame."""

    frame: np.ndarray
    found: bool
    points: Tensor  # (478, 3)
    presence: Tensor  # ()
    roi: Tensor  # (4,) the square that was read

    @cached_property
    def next_roi(self) -> Tensor:
        """(4,) the square around the points themselves, on the grid."""
        return _on_grid(rois_from_points(self.points[None])[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Somebody:
    """Somebody in sight. `beside`: was seen beside the first person, so is surely another one."""

    roi: Tensor
    person: int
    beside: bool


@dataclass
class _Lost:
    """State while the first person is out of sight; `others`: who was in the frame before."""

    num_frames: int = 0
    others: list[_Somebody] = field(default_factory=list)


@dataclass
class VideoTracker:
    """Follows one person; a frame's result does not depend on how the frames are batched."""

    tracker: FaceTracker
    which: Which = "largest"
    _people: People = field(default_factory=People)
    _cuts: CutDetector = field(default_factory=CutDetector)
    _first: _Reading | None = None  # the first person, first time; None once encoded
    _choice: FaceChoice | None = None
    _seen: _Reading | None = None  # the first person, last time
    _encoded: _Reading | None = None  # the last sight of the first person that was encoded
    _seen_shot: int = 0
    _shot: int = 0
    _lost: _Lost = field(default_factory=_Lost)
    _guess: _Reading | None = None  # of the frame that is read now, by another thread

    @torch.no_grad()
    def update(self, frames: Sequence[np.ndarray] | np.ndarray) -> FollowedFaces:
        """Frames (H, W, 3) uint8, the next ones of the film -> their faces."""
        has_helper = torch.get_num_threads() > 1 and self.tracker.device.type == "cpu"
        # The networks are so small that several threads for one picture would wait for each other.
        with torch_threads(1):
            steps = list(self._in_halves(list(frames)) if has_helper else self._steps(frames))
            return self._followed(steps)

    def _followed(self, steps: Sequence[tuple[_Reading, int, int]]) -> FollowedFaces:
        """From readings with their persons and shots."""
        points = torch.stack([r.points for r, _, _ in steps])
        people = torch.tensor([person for _, person, _ in steps], device=points.device)
        return FollowedFaces(
            found=people == 0,
            points=points,
            blendshapes=self.tracker.mesh.blendshapes(points),
            presence=torch.stack([r.presence for r, _, _ in steps]),
            rois=torch.stack([r.roi for r, _, _ in steps]),
            person=people,
            shot=torch.tensor([shot for _, _, shot in steps], device=points.device),
        )

    def _steps(
        self, frames: Iterable[np.ndarray], guesses: Iterable[_Reading] = ()
    ) -> Iterator[tuple[_Reading, int, int]]:
        """What is seen in each frame: the reading, the person and the shot.

        guesses: readings of the first of these frames, perhaps of wrong squares.
        """
        for frame, self._guess in zip_longest(frames, guesses):
            reading, person = self._step(frame)
            yield reading, person, self._shot

    def _in_halves(self, frames: list[np.ndarray]) -> Iterator[tuple[_Reading, int, int]]:
        """`_steps`, by two threads."""
        while frames and (self._seen is None or self._lost.num_frames > 0):
            yield from self._steps([frames.pop(0)])
        half = (len(frames) + _WARM_UP) // 2
        if half >= len(frames):
            yield from self._steps(frames)
            return
        assert self._seen is not None
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._read_on, frames[half - _WARM_UP :], self._seen.next_roi)
            yield from self._steps(frames[:half])
            yield from self._steps(frames[half:], ahead.result()[_WARM_UP:])

    @torch.no_grad()
    def _read_on(self, frames: Iterable[np.ndarray], roi: Tensor) -> list[_Reading]:
        """Readings of the first frames that show a face, each where it was in the frame before."""
        readings: list[_Reading] = []
        with torch_threads(1):
            for frame in frames:
                reading = self._read(frame, roi)
                if not reading.found:
                    break
                readings.append(reading)
                roi = reading.next_roi
        return readings

    def _step(self, frame: np.ndarray) -> tuple[_Reading, int]:
        change = self._cuts.update(frame)
        if self._seen is None:
            return self._first_time(frame)
        if self._lost.num_frames == 0 and np.array_equal(frame, self._seen.frame):
            return self._seen, 0  # a frozen picture gives a frozen face
        if change is Change.CERTAIN:
            self._new_shot()
        if self._lost.num_frames == 0:
            reading = self._read(frame, self._seen.next_roi)
            if reading.found:
                if change is Change.NONE:
                    return self._follow(reading)
                if self._is_first(reading):
                    return self._follow(self._settled(reading))
                if change is not Change.CERTAIN:  # somebody else in the same place: a cut after all
                    self._new_shot()
        seen = {somebody.person: reading for reading, somebody in self._in_sight(frame)}
        if 0 in seen:
            return self._follow(seen[0])
        self._lost.num_frames += 1
        if not seen:
            return self._read(frame, _whole(frame, self.tracker.device)), -1
        return seen[min(seen)], min(seen)

    def _first_time(self, frame: np.ndarray) -> tuple[_Reading, int]:
        tiles = self._lost.num_frames % _TILES_EVERY == 0
        if isinstance(self.which, str) and self.which == "largest":
            found, rois = self.tracker.detect(frame, tiles=tiles)
            roi = rois[0] if found[0] else None
        else:
            self._choice = self._choice or FaceChoice(self.tracker, self.which)
            roi = self._choice.roi(frame)
        reading = self._read(frame, _whole(frame, self.tracker.device) if roi is None else roi)
        if roi is not None and reading.found:
            self._first = reading = self._settled(reading)
            return self._follow(reading)
        self._lost.num_frames += 1
        return reading, -1

    def _new_shot(self) -> None:
        self._shot += 1
        self._lost.others = []  # nobody keeps the place of before

    def _follow(self, reading: _Reading) -> tuple[_Reading, int]:
        if self._seen is not None and self._seen_shot == self._shot:
            before, now = (r.next_roi.cpu().numpy() for r in (self._seen, reading))
            self._shot += jumped(before, now)
        self._seen, self._seen_shot, self._lost = reading, self._shot, _Lost()
        return reading, 0

    def _is_first(self, reading: _Reading) -> bool:
        self._remember_first()
        return self._people.who(self._code(reading), among=[0]) == 0

    def _in_sight(self, frame: np.ndarray) -> list[tuple[_Reading, _Somebody]]:
        """All faces of the frame: those known from the frame before in their places, then new ones.

        New faces, and now and then the known ones, are recognised by their looks.
        """
        again = self._lost.num_frames % _LOOK_AGAIN_EVERY == 0
        seen: list[tuple[_Reading, _Somebody]] = []

        def note(reading: _Reading, somebody: _Somebody | None) -> None:
            known = any(same_face(reading.next_roi, other.roi) for _, other in seen)
            if reading.found and not known:
                if somebody is None:
                    reading = self._settled(reading)
                    somebody = self._recognise(reading, [o.person for _, o in seen])
                seen.append((reading, replace(somebody, roi=reading.next_roi)))

        for other in self._lost.others:
            note(self._read(frame, other.roi), other if other.beside or not again else None)
        tiles = self._lost.num_frames % _TILES_EVERY == 0
        for roi in self.tracker.faces(frame, tiles=tiles, known=[o.roi for _, o in seen]):
            note(self._read(frame, roi), None)
        self._lost.others = [other for _, other in seen if other.person != 0]
        return seen

    def _recognise(self, reading: _Reading, taken: list[int]) -> _Somebody:
        """The person in view, by its looks; a stranger gets a new number."""
        self._remember_first()
        code = self._code(reading)
        beside = self._was_beside_first(reading, code)
        free = [k for k in range(len(self._people)) if k not in taken and not (beside and k == 0)]
        person = self._people.who(code, among=free)
        if person is None:
            person = len(self._people)
            self._people.add(person, code)
        return _Somebody(roi=reading.roi, person=person, beside=beside)

    def _was_beside_first(self, reading: _Reading, code: Tensor) -> bool:
        """Whether this face was in the same place while the first person was last in sight."""
        seen = self._seen
        if seen is None or self._shot != self._seen_shot:
            return False
        before = self._read(seen.frame, reading.roi)
        return (
            before.found
            and same_face(before.next_roi, reading.roi)
            and not same_face(before.next_roi, seen.next_roi)
            and self._people.alike(self._code(before), code)
        )

    def _remember_first(self) -> None:
        """Encodes the first and the last sight of the first person.

        Only now, because most films never need a comparison.
        """
        for reading in (self._first, self._seen):
            if reading is not None and reading is not self._encoded:
                self._people.add(0, self._code(reading))
                self._encoded = reading
        self._first = None

    def _settled(self, reading: _Reading) -> _Reading:
        """The same face, read until the square around its points stands still.

        Otherwise the first frames of a shot would show how the square finds its place.
        """
        for _ in range(_MAX_READS):
            roi = reading.next_roi
            again = self._read(reading.frame, roi)
            if not again.found:
                return reading
            moved = (again.next_roi - roi)[:3].abs().max()
            reading = again
            if moved < _STILL * roi[2]:
                break
        return reading

    def _code(self, reading: _Reading) -> Tensor:
        """The identity code (128,) of the face that was read."""
        image, offset = self._window(reading.frame, reading.roi)
        points = five_points_from_points478(reading.points[None, :, :2] - offset)
        return self.tracker.identity_net()(image, points)[0]

    def _read(self, frame: np.ndarray, roi: Tensor) -> _Reading:
        guess = self._guess
        if guess is not None and guess.frame is frame and guess.roi.equal(roi):
            return guess
        image, offset = self._window(frame, roi)
        shifted = torch.cat([roi[:2] - offset, roi[2:]])
        points, presence = self.tracker.mesh(image, shifted[None])
        points = torch.cat([points[0, :, :2] + offset, points[0, :, 2:]], -1)
        found = bool(presence[0] > MIN_PRESENCE)
        return _Reading(frame=frame, found=found, points=points, presence=presence[0], roi=roi)

    def _window(self, frame: np.ndarray, roi: Tensor) -> tuple[Tensor, Tensor]:
        """The roi's surroundings as an image (1, 3, h, w), and the pixel (2,) where it begins.

        Only these pixels leave uint8.
        """
        cx, cy, side, _ = roi.tolist()
        reach = 0.71 * side + 2
        height, width = frame.shape[:2]
        left, right = _span(cx - reach, cx + reach, width)
        top, bottom = _span(cy - reach, cy + reach, height)
        return self.tracker.images(frame[top:bottom, left:right]), roi.new_tensor([left, top])


def _on_grid(roi: Tensor) -> Tensor:
    """The square (4,) with its place and side rounded to a grid, and its angle as finely."""
    *place, angle = roi.tolist()
    step = 2.0 ** math.floor(math.log2(max(place[2], 1.0) / _GRID))
    return roi.new_tensor([*(round(v / step) * step for v in place), round(angle * _GRID) / _GRID])


def _whole(frame: np.ndarray, device: torch.device) -> Tensor:
    height, width = frame.shape[:2]
    return torch.tensor([width / 2, height / 2, max(height, width), 0.0], device=device)


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """A non-empty range of pixels inside [0, length).

    It starts at a multiple of 64, so that averaging does not depend on it.
    """
    start = min(max(int(low), 0), length - 1) // 64 * 64
    return start, min(max(int(high) + 1, start + 1), length)
