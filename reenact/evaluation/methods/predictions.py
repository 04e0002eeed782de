"""Folders of results: `<mode>/<source clip>_<frame>__<target clip>`, a video or a folder of PNGs.

The results of any method can be measured from such a folder, and our own results are written to
one. Slashes in clip names become underscores.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from reenact.errors import UserError, counted
from reenact.evaluation.pairing.pairs import Pair, Video
from reenact.files import atomic_output, make_folder
from reenact.media.images import read_frame
from reenact.processes import warn

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov")
_SHOWN = 3


class PredictionFolder:
    """The results of a method. Results of another size are resized to `size` x `size` (bicubic)."""

    def __init__(self, root: Path, size: int) -> None:
        check_predictions(root)
        self.root, self.size = root, size
        self._video: tuple[Path, list[np.ndarray]] | None = None

    def present(self, videos: Sequence[Video]) -> list[Video]:
        """The videos that are there. A warning names the missing ones.

        Raises UserError when none is there.
        """
        found = [video for video in videos if self._place(video[0]) is not None]
        missing = [video[0].video for video in videos if self._place(video[0]) is None]
        if missing:
            names = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            line = f"{self.root}: {len(missing)} of {len(videos)} predictions are missing: {names}"
            if not found:
                raise UserError(f"{line}; name them <mode>/<source clip>_<frame>__<target>.mp4")
            warn(line)
        return found

    def frames(self, video: Video, num_target_frames: int) -> list[np.ndarray]:
        """(S, S, 3) uint8 for every pair of the video.

        A picture whose name is a number shows the target frame of that number. Otherwise there must
        be as many frames as pairs of the video, or as many as frames of the target clip. Raises
        UserError.
        """
        place = self._place(video[0])
        assert place is not None
        if place.is_dir():
            return [
                self._resized(read_frame(path, quiet=True))
                for path in _pictures(place, video, num_target_frames)
            ]
        if self._video is None or self._video[0] != place:
            from reenact.media.video_reader import VideoReader

            self._video = (place, [self._resized(frame) for frame in VideoReader(place)])
        every = self._video[1]
        return [every[i] for i in _rows(place, len(every), video, num_target_frames)]

    def _place(self, pair: Pair) -> Path | None:
        folder = self.root / pair.video
        if folder.is_dir():
            return folder
        # with_suffix would cut names of clips that contain a dot.
        paths = (folder.with_name(folder.name + suffix) for suffix in VIDEO_SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def _resized(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape[:2] == (self.size, self.size):
            return frame
        if frame.shape[0] != frame.shape[1]:
            raise UserError(
                f"{self.root}: a prediction is {frame.shape[1]}x{frame.shape[0]} pixels, "
                "expected squares: the face crop, without the source beside it"
            )
        picture = Image.fromarray(frame).resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(picture)


def check_predictions(root: Path) -> None:
    """Raises UserError if `root` is no folder with files."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of predictions")
    if next(root.iterdir(), None) is None:
        raise UserError(f"{root}: the folder of predictions is empty")


def picture_path(root: Path, pair: Pair) -> Path:
    """The PNG of a pair."""
    return root / pair.video / f"{pair.target_frame:06d}.png"


def write_prediction(root: Path, pair: Pair, frame: np.ndarray) -> None:
    """Write the frame (S, S, 3) where `PredictionFolder` finds it. Raises UserError."""
    path = picture_path(root, pair)
    make_folder(path.parent)
    with atomic_output(path) as temporary:
        Image.fromarray(frame).save(temporary)


def _pictures(folder: Path, video: Video, num_target_frames: int) -> list[Path]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    by_number = {int(path.stem): path for path in paths if path.stem.isdigit()}
    if all(pair.target_frame in by_number for pair in video):
        return [by_number[pair.target_frame] for pair in video]
    return [paths[i] for i in _rows(folder, len(paths), video, num_target_frames)]


def _rows(path: Path, count: int, video: Video, num_target_frames: int) -> list[int]:
    if count == len(video):
        return list(range(count))
    if count == num_target_frames:
        return [pair.target_frame for pair in video]
    raise UserError(
        f"{path}: has {counted(count, 'frame')}, expected {len(video)} (the measured ones) "
        f"or {num_target_frames} (all of the target clip)"
    )
