"""The part of the authors' face stack that reads pictures: S3FD and 2D-FAN-4 landmarks, FFHQ
alignment, EMOCA, ETH-XGaze.

It follows the published inference step by step. With `compat` it also squeezes and aligns the
pictures as published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reenact.errors import UserError
from reenact.face.crop import FaceCrop, crops_for_video, keep_heads_inside
from reenact.face.identity import IdentityNet
from reenact.face.people import TrackRecogniser
from reenact.face.released import alignment, emoca_crop, gaze_crop
from reenact.face.released.config import ReleasedConfig
from reenact.face.released.emoca import Emoca, load_emoca
from reenact.face.released.files import FoundFiles
from reenact.face.released.flame import Flame
from reenact.face.released.gaze_net import GazeNet
from reenact.face.released.landmarks import LandmarkDetector
from reenact.face.released.model import SIZE, ReleasedFaceModel, check_size
from reenact.face.released.params import FlameParams
from reenact.face.shots import drivers, hold_last, runs
from reenact.face.stack import (
    FoundFace,
    Frame,
    LiveTracker,
    SourceFace,
    TargetMotion,
    Watch,
    Which,
    chunks,
)
from reenact.face.steadying import calmed
from reenact.media.images import frame_from_image


@dataclass(frozen=True, kw_only=True)
class _Jitter:
    """Changes in a video below these sizes are calmed.

    pose, gaze: radians. zoom: relative, of the camera's scale. shift: units of the camera's shift.
    expression: FLAME's units.
    """

    pose: float = 0.02
    zoom: float = 0.01
    shift: float = 0.003
    expression: float = 0.1
    gaze: float = 0.05


class ReleasedFaceStack(ReleasedFaceModel):
    """`FaceStack` of `FlameParams`; see there for the methods."""

    def __init__(
        self,
        detector: LandmarkDetector,
        emoca: Emoca,
        flame: Flame,
        gaze_net: GazeNet,
        config: ReleasedConfig,
        device: torch.device,
    ) -> None:
        super().__init__(flame, device)
        self.detector = detector.to(device)
        self.emoca = emoca.to(device)
        self.gaze_net = gaze_net.to(device)
        self.identity_net = IdentityNet()
        self.config = config

    num_passes = 2

    @classmethod
    def from_files(
        cls, files: FoundFiles, config: ReleasedConfig, device: torch.device
    ) -> ReleasedFaceStack:
        """Raises CheckpointError for an unreadable or foreign file."""
        detector = LandmarkDetector.from_files(
            files.s3fd, files.fan, device, antialias=config.antialias
        )
        emoca, flame = load_emoca(files.emoca)
        return cls(detector, emoca, flame, GazeNet.from_file(files.gaze), config, device)

    def faces(self, photo: Frame) -> list[FoundFace]:
        """The most probable face only: the published detector is used as it is."""
        found, landmarks, _ = self._find([photo])
        if not found[0]:
            return []
        (left, top), (right, bottom) = landmarks[0].min(0).tolist(), landmarks[0].max(0).tolist()
        return [FoundFace(number=1, box=(left, top, right, bottom))]

    def source_face(
        self, photo: Frame, size: int, *, which: Which = "largest"
    ) -> SourceFace[FlameParams] | None:
        """The most probable face of the photo."""
        check_size(size)
        _check_choice(which)
        found, landmarks, _ = self._find([photo])
        if not found[0]:
            return None
        crop = self._own_crop(landmarks[0], photo.shape[:2])
        crop_frame = self.cut(photo, crop)
        params = self.read_aligned(crop_frame[None], crop.points_from_frame(landmarks))
        return SourceFace(photo=photo, crop=crop, crop_frame=crop_frame, params=params.to("cpu"))

    def source_faces(
        self, photo: Frame, size: int
    ) -> list[tuple[FoundFace, SourceFace[FlameParams]]]:
        """The most probable face only."""
        face = self.source_face(photo, size)
        return [] if face is None else [(self.faces(photo)[0], face)]

    def target_motion(
        self,
        frames: Iterable[Frame],
        fps: float,
        size: int,
        watch: Watch | None = None,
        *,
        which: Which = "largest",
        smoothing: float = 1.0,
    ) -> TargetMotion[FlameParams] | None:
        """Reads `frames` twice: first to find the faces, then to read them in steady crops.

        Unless `compat` asks for the published way, cuts and changes of person are noticed
        (`TrackRecogniser`), and another person is not followed in the first one's place.
        """
        check_size(size)
        _check_choice(which)
        watch = watch or (lambda passed, what: passed)
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        seen: list[tuple[int, int]] = []
        shape = (0, 0)
        box = None if self.config.compat else torch.full((4,), torch.nan)
        people = None if self.config.compat else TrackRecogniser(self.identity_net)
        for chunk in chunks(watch(frames, "finding faces"), self.config.chunk):
            here, points, box = self._find(chunk, box)
            parts.append((here, points))
            for frame, face, one in zip(chunk, points, here, strict=True):
                seen.append(people.update(frame, face if one else None) if people else (one - 1, 0))
            shape = chunk[0].shape[:2]
        if not parts:
            raise ValueError("the video has no frames")
        landmarks = np.concatenate([points for _, points in parts])
        person, shot = np.array(seen).T
        found = drivers(person, shot)
        if not found.any():
            return None
        crops, followed = self._crops(landmarks, found, shot, fps, shape)
        here, reads = np.flatnonzero(found), []
        kept = (f for f, keep in zip(watch(frames, "reading faces"), found, strict=True) if keep)
        for rows, chunk in zip(
            np.split(here, range(self.config.chunk, len(here), self.config.chunk)),
            chunks(kept, self.config.chunk),
            strict=True,
        ):
            aligned = [self.cut(frame, crops[i]) for frame, i in zip(chunk, rows, strict=True)]
            first = [crops[i].points_from_frame(landmarks[i]) for i in rows]
            reads.append(self.read_aligned(np.stack(aligned), np.stack(first)))
        order, held = np.cumsum(found) - 1, hold_last(found)
        params = FlameParams.cat(reads).to("cpu")[order[held]]
        if not self.config.compat:
            stretches = np.stack([shot, shot[held], person[held]], 1)
            params = self._steadied(params, stretches, smoothing * self.config.steadying * fps)
        windows = crops_for_video(landmarks, found, SIZE, fps, shots=shot)
        return TargetMotion(
            params=params,
            crops=crops,
            windows=keep_heads_inside(windows, landmarks, found)[0],
            found=found,
            person=person,
            shot=shot,
            crop_followed=followed,
        )

    def live_tracker(
        self, size: int, *, which: Which = "largest", smoothing: float = 1.0
    ) -> LiveTracker[FlameParams]:
        raise UserError("live pictures need the open face stack, leave out face.released")

    def cut(self, frame: Frame, crop: FaceCrop) -> Frame:
        """FFHQ alignment with its blurred border. `crop` comes from `source_face` or
        `target_motion`; it may be resized.
        """
        picture, picture_from_frame = self._picture(frame, crop)
        quad = alignment.quad_from_crop(crop, picture_from_frame)
        return alignment.align_quad(picture, quad, crop.size)

    @torch.no_grad()
    def read_aligned(self, aligned: np.ndarray, first: np.ndarray) -> FlameParams:
        """Read the faces of aligned pictures (B, 256, 256, 3) uint8; the result is on the stack's
        device.

        The landmark network runs once more on these pictures. Where it finds no face, the landmarks
        `first` (B, 68, 2) are used, in continuous pixels of these pictures.
        """
        images = torch.tensor(aligned).permute(0, 3, 1, 2).float().div(255).mul(2).sub(1)
        images = images.contiguous().to(self.device)
        second = self.detector.detect(images)
        fallback = torch.from_numpy(first - 0.5).float().to(self.device)
        landmarks = torch.where(second.found[:, None, None], second.points, fallback)
        codes = self.emoca.encode(emoca_crop.crop(images, landmarks))
        gaze = self.gaze_net(gaze_crop.crop(images, landmarks))
        return FlameParams(
            shape=codes.shape,
            expression=codes.expression,
            pose=codes.pose,
            cam=codes.cam,
            gaze=gaze,
        )

    def read_crops(self, images: Tensor) -> list[FlameParams | None]:
        """The published parameters do not depend on the crop that they are read from."""
        faces = [self.source_face(frame, len(frame)) for frame in frame_from_image(images)]
        return [None if face is None else face.params for face in faces]

    def _find(
        self, frames: list[Frame], previous: Tensor | None = None
    ) -> tuple[np.ndarray, np.ndarray, Tensor | None]:
        """Find the faces of frames of one size.

        previous: the box of the face in the frame before; None treats every frame on its own (see
        `LandmarkDetector.detect`).

        Returns found (N,) bool, landmarks (N, 68, 2) in frame pixels, and the box of the same face
        in the last frame that shows it.
        """
        height, width = frames[0].shape[:2]
        if self.config.compat:
            small = (SIZE, SIZE)
        else:
            factor = min(1.0, self.config.search_side / max(height, width))
            small = (max(1, round(width * factor)), max(1, round(height * factor)))
        pictures = np.stack([_resized(frame, small) for frame in frames])
        result = self.detector.detect(_image(pictures).to(self.device), previous)
        found = result.found.cpu().numpy()
        if previous is not None and found.any():
            previous = result.boxes[int(np.flatnonzero(found)[-1])].cpu()
        points = result.points.cpu().double().numpy()
        ratio = np.array([width / small[0], height / small[1]])
        # The landmark network counts pixels from the centre of the first one. Coordinates here
        # count from its edge.
        return found, (points + 0.5) * ratio, previous

    def _own_crop(self, landmarks: np.ndarray, shape: tuple[int, int]) -> FaceCrop:
        """The published alignment of one picture. landmarks (68, 2) are in pixels of a frame whose
        height and width are `shape`.
        """
        to_picture = _squeeze(shape) if self.config.compat else np.eye(3)
        points = landmarks * to_picture.diagonal()[:2] - 0.5
        crop = alignment.crop_from_quad(
            alignment.quad_from_landmarks(points.astype(np.float32)), SIZE
        )
        return FaceCrop(crop_from_frame=crop.crop_from_frame @ to_picture, size=SIZE)

    def _crops(
        self,
        landmarks: np.ndarray,
        found: np.ndarray,
        shot: np.ndarray,
        fps: float,
        shape: tuple[int, int],
    ) -> tuple[list[FaceCrop], np.ndarray]:
        """The crops, and which of them had to follow a fast head (`keep_heads_inside`)."""
        if not self.config.compat:
            smoothing = self.config.steadying
            crops = crops_for_video(landmarks, found, SIZE, fps, smoothing=smoothing, shots=shot)
            return keep_heads_inside(crops, landmarks, found)
        own = {int(i): self._own_crop(landmarks[i], shape) for i in np.flatnonzero(found)}
        return [own[int(i)] for i in hold_last(found)], np.zeros(len(found), dtype=bool)

    def _steadied(self, params: FlameParams, stretches: np.ndarray, sigma: float) -> FlameParams:
        """Parameters calmed in each stretch of the film on its own, with a Gaussian of `sigma`
        frames. Each person has one shape, the median.
        """
        shape = params.shape.clone()
        for who in np.unique(stretches[:, 2]):
            here = torch.from_numpy(stretches[:, 2] == who)
            shape[here] = shape[here].median(0).values
        params = replace(params, shape=shape)
        return FlameParams.cat([steadied(params[part], sigma) for part in runs(stretches)])

    def _picture(self, frame: Frame, crop: FaceCrop) -> tuple[Frame, np.ndarray]:
        """The picture that is aligned, and the matrix (3, 3) from frame pixels to its pixels."""
        height, width = frame.shape[:2]
        if self.config.compat:
            squeezed = alignment.requantised(_resized(frame, (SIZE, SIZE)))
            return squeezed, _squeeze((height, width))
        # The alignment reads single pixels. A large face is shrunk first, to avoid aliasing.
        factor = min(1.0, 1.5 * crop.zoom)
        small = (max(1, round(width * factor)), max(1, round(height * factor)))
        return _resized(frame, small), np.diag([small[0] / width, small[1] / height, 1.0])


def steadied(params: FlameParams, sigma: float) -> FlameParams:
    """Parameters of a clip with small jitter calmed (see `calmed`; `sigma` in frames). The shape
    stays as it is.
    """
    jitter = _Jitter()
    zoom = calmed(params.cam[:, :1], sigma, params.cam[:, :1].median().abs() * jitter.zoom)
    shift = calmed(params.cam[:, 1:], sigma, jitter.shift)
    return replace(
        params,
        expression=calmed(params.expression, sigma, jitter.expression),
        pose=calmed(params.pose, sigma, jitter.pose),
        cam=torch.cat([zoom, shift], 1),
        gaze=calmed(params.gaze, sigma, jitter.gaze),
    )


def _check_choice(which: Which) -> None:
    if not (isinstance(which, str) and which == "largest"):
        raise UserError(
            "the released face stack always takes the most probable face: use the open one to "
            "choose another"
        )


def _squeeze(shape: tuple[int, int]) -> np.ndarray:
    """The matrix (3, 3) from a frame with this height and width to the square of SIZE pixels."""
    height, width = shape
    return np.diag([SIZE / width, SIZE / height, 1.0])


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    """Resize with Pillow's antialiased bilinear filter. `size` is width, height."""
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def _image(frames: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) in [-1, 1], rounded as in the published loader."""
    values = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float().div(255)
    return values.sub(0.5).div(0.5).contiguous()
