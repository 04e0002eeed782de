"""Tells the people of a film apart by their looks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from reenact.face.identity import IdentityNet
from reenact.face.points import five_points_from_landmarks68
from reenact.face.shots import Change, CutDetector, head_square, jumped


class People:
    """The people of a film, numbered from 0, each with some identity codes (128,)."""

    SAME = 0.4
    """Two codes with at least this cosine similarity show one person."""
    NUM_CODES = 8

    def __init__(self) -> None:
        self._codes: list[list[Tensor]] = []

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, person: int, code: Tensor) -> None:
        """One more code of `person`. A number equal to the length adds a new person.

        The first code of a person is always kept. Of the later codes, the newest are kept.
        """
        if person == len(self._codes):
            self._codes.append([])
        codes = self._codes[person]
        codes.append(code)
        if len(codes) > self.NUM_CODES:
            del codes[1]

    def alike(self, code: Tensor, other: Tensor) -> bool:
        return float(code @ other) >= self.SAME

    def who(self, code: Tensor, among: Iterable[int]) -> int | None:
        """The most similar of these people; None when no one is similar enough."""
        likeness = {k: max(float(code @ own) for own in self._codes[k]) for k in among}
        best = max(likeness, key=likeness.__getitem__, default=None)
        return best if best is not None and likeness[best] >= self.SAME else None


class TrackRecogniser:
    """Cuts and changes of person in a track that was made without looking for them.

    For trackers that choose a face in every frame on their own. Faces are compared only at the
    first frame, after a gap, and where the picture or the face jumps.
    """

    def __init__(self, net: IdentityNet) -> None:
        self._net = net
        self._people = People()
        self._cuts = CutDetector()
        self._shot = 0
        self._before: tuple[np.ndarray, int] | None = None

    def update(self, frame: np.ndarray, landmarks: np.ndarray | None) -> tuple[int, int]:
        """The next frame (H, W, 3) uint8 with its face (68, 2) in pixels, or None -> person, shot.

        Person 0 is the first one of the film; -1 stands for no face.
        """
        change = self._cuts.update(frame)
        cut = change is Change.CERTAIN
        if landmarks is None:
            self._shot, self._before = self._shot + cut, None
            return -1, self._shot
        square, before = head_square(landmarks), self._before
        moved = before is not None and jumped(before[0], square)
        if before is None or moved or change is not Change.NONE:
            person = self._recognise(frame, landmarks)
        else:
            person = before[1]
        other = before is not None and person != before[1]
        self._shot += bool(cut or moved or other)
        self._before = square, person
        return person, self._shot

    def _recognise(self, frame: np.ndarray, landmarks: np.ndarray) -> int:
        image = torch.tensor(frame).permute(2, 0, 1)[None].float() / 127.5 - 1
        points = five_points_from_landmarks68(torch.tensor(landmarks)[None].float())
        code = self._net(image, points)[0]
        person = self._people.who(code, among=range(len(self._people)))
        person = len(self._people) if person is None else person
        self._people.add(person, code)
        return person
