"""Clips as `python -m reenact synthetic` writes them: each clip is a folder of arrays."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from reenact.data.clip import ClipSet, CrossRecord
from reenact.errors import UserError
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class FolderClip:
    """One clip folder; see `Clip`.

    Each read opens its array anew, because the open files of thousands of clips would exceed the
    limit of a process.
    """

    folder: Path
    person: str
    split: str
    num_frames: int

    @property
    def name(self) -> str:
        return self.folder.name

    def frame(self, index: int) -> np.ndarray:
        return self._item("frames", index)

    def face_mask(self, index: int) -> np.ndarray:
        return self._item("masks", index)

    def cross_frame(self, index: int) -> np.ndarray:
        return self._item("cross_frames", index)

    def cross_mask(self, index: int) -> np.ndarray:
        return self._item("cross_masks", index)

    def alpha(self, part: str, index: int) -> np.ndarray | None:
        return self._item(part, index) if (self.folder / f"{part}.npy").is_file() else None

    def cross_alpha(self, part: str, index: int) -> np.ndarray | None:
        return self.alpha(f"cross_{part}", index)

    @property
    def has_photo(self) -> bool:
        return (self.folder / "photo.npy").is_file()

    def photo(self) -> np.ndarray:
        path = self.folder / "photo.npy"
        try:
            photo: np.ndarray = np.load(path)
        except FileNotFoundError:
            raise UserError(
                f"{path}: no photo around the first frame; generate the clips again with the same "
                "options, which adds what is missing"
            ) from None
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: cannot be read ({error}), {_CURE}") from error
        return photo

    def crop_from_frame(self, index: int) -> np.ndarray:
        matrix: np.ndarray = self._crops[index]
        return matrix

    @cached_property
    def _crops(self) -> np.ndarray:
        return self._arrays("crop_from_frame")["crop_from_frame"]

    @cached_property
    def params(self) -> FaceParams:
        return FaceParams.from_numpy(self._arrays(*FaceParams.WIDTHS))

    @cached_property
    def landmarks(self) -> np.ndarray:
        """Landmarks of the present head model.

        The landmarks in the file come from the head model with which the clip was written.
        """
        landmarks: np.ndarray = _head_model().landmarks(self.params).numpy()
        return landmarks

    @cached_property
    def cross(self) -> list[CrossRecord]:
        path = self.folder / "cross.json"
        if not path.is_file():
            return []
        try:
            return [
                CrossRecord(int(r["source_frame"]), str(r["target_clip"]), int(r["target_frame"]))
                for r in json.loads(path.read_text())
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a list of cross frames ({error!r}), {_CURE}") from error

    def _item(self, array: str, index: int) -> np.ndarray:
        """One item of `<array>.npy`, copied out of the memory map."""
        path = self.folder / f"{array}.npy"
        try:
            return np.array(np.load(path, mmap_mode="r")[index])
        except (OSError, ValueError, IndexError, EOFError) as error:
            raise UserError(f"{path}: cannot read item {index} ({error}), {_CURE}") from error

    def _arrays(self, *names: str) -> dict[str, np.ndarray]:
        path = self.folder / "params.npz"
        try:
            with np.load(path) as file:
                return {name: file[name] for name in names}
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise UserError(
                f"{path}: cannot read the face parameters ({error}), {_CURE}"
            ) from error


@lru_cache(maxsize=1)
def _head_model() -> HeadModel:
    return HeadModel()


_CURE = "delete the clip's folder and generate it again"


def read_folders(root: Path, split: str) -> ClipSet:
    """The clips of one split (maybe none). Raises UserError for a damaged manifest."""
    path = root / MANIFEST
    try:
        content = path.read_bytes()
        manifest: dict[str, Any] = json.loads(content)
        clips = [
            FolderClip(
                folder=root / record["name"],
                person=str(record.get("person", record["name"])),
                split=str(record["split"]),
                num_frames=int(record["frames"]),
            )
            for record in manifest["clips"]
        ]
        return ClipSet(
            root=root,
            size=int(manifest["size"]),
            fps=float(manifest.get("fps", 25)) / float(manifest.get("stride", 1)),
            face="open",
            clips=[clip for clip in clips if clip.split == split],
            splits=sorted({clip.split for clip in clips}),
            fingerprint=hashlib.sha256(content).hexdigest(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a clip manifest ({error!r}), generate it again") from error
