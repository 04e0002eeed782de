"""From generated crops to the frames that are written.

A composition has two functions: one makes a `Stage` of the source alone, the other one makes the
frames of a `Scene`. To add one, write them and add a line to `COMPOSITIONS`: its name is then a
value of `compose` in configs, in Python and on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.crop import FaceCrop, feathered_mask, paste_back, warp_to_crop
from reenact.face.person_mask import PersonFinder
from reenact.face.stack import FaceStack, Frame, SourceFace, TargetMotion
from reenact.inference.background import PHOTO, cut_person, finished
from reenact.inference.canvas import SourceView, crop_view, photo_view, put_back
from reenact.inference.motion import Motion
from reenact.media.images import frame_from_image, image_from_frame

Levels = Literal["exact", "stretched"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """What a composition makes of a source before it knows the motion.

    source: the source photo and its face, perhaps shrunk.
    whole: (H, W, 3 or 4), the photo that is composed, with its opacity if the background is not the
        photo's own.
    view: the part of the photo that is rendered, whose corner is at this column and row; None where
        the source's detail is not carried.
    """

    source: SourceFace[Any]
    whole: Frame
    view: SourceView | None = None
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """All that a composition can put together for the N frames of a motion.

    stage: the source.
    motion: the target's motion.
    faces: the N faces of the source person as they are rendered, one by one, in the pixels of the
        source's crop.
    face: the face stack.
    images: N images (1, 3, S, S) in [-1, 1] on the CPU. With a view of the photo they have the
        view's D pixels, and are composed of the photo's layers.
    size, levels, background: `output_size` and others of `AnimateOptions`.
    """

    stage: Stage
    motion: Motion
    faces: Iterable[FaceBatch]
    face: FaceStack[Any]
    images: Iterator[Tensor]
    size: int
    levels: Levels
    background: str = PHOTO


def photo_stage(
    source: SourceFace[Any], net: PersonFinder | None, size: int, background: str
) -> Stage:
    """A square of the photo's own pixels."""
    if net is None:
        return Stage(source=source, whole=source.photo)
    whole, alpha = _ground(source, net, background)
    view, corner = photo_view(whole, source.crop, net, alpha)
    whole = whole if alpha is None else np.dstack([whole, alpha])
    return Stage(source=source, whole=whole, view=view, corner=corner)


def photo(scene: Scene) -> Iterator[Frame]:
    """The whole source photo with the moved person."""
    stage = scene.stage
    if stage.view is None:
        yield from _pasted(scene)
        return
    for image in scene.images:
        result = put_back(stage.whole, _frame(image, image.shape[-1]), stage.corner)
        yield result if result.shape[2] == 3 else finished(result, scene.background)


def crop_stage(
    source: SourceFace[Any], net: PersonFinder | None, size: int, background: str
) -> Stage:
    """The face crop in at least `size` pixels."""
    if net is None:
        return Stage(source=source, whole=source.photo)
    whole, alpha = _ground(source, net, background)
    view = crop_view(whole, source.crop, net, max(size, source.crop.size), alpha)
    return Stage(source=source, whole=whole, view=view)


def crop(scene: Scene) -> Iterator[Frame]:
    """The face crop (size, size, 3)."""
    for image in scene.images:
        result = _frame(image, scene.size, scene.levels)
        yield result if result.shape[2] == 3 else finished(result, scene.background)


def follow(scene: Scene) -> Iterator[Frame]:
    """The face crop, moved and rolled in its square as the target's head was."""
    tracked = scene.motion.tracked
    for result, own, window in zip(crop(scene), tracked.crops, tracked.windows, strict=True):
        yield moved(result, own.resized(scene.size), window.resized(scene.size))


def _ground(
    source: SourceFace[Any], net: PersonFinder, background: str
) -> tuple[Frame, np.ndarray | None]:
    """The photo that is composed, and its opacity if the background is not the photo's own."""
    if background == PHOTO:
        return source.photo, None
    if source.alpha is not None:
        return source.photo, source.alpha
    mask = net.of_photo(image_from_frame(source.photo).to(net.device), source.crop)
    return cut_person(source.photo, mask)


def _frame(image: Tensor, size: int, levels: Levels = "exact") -> Frame:
    """An image (1, C, S, S) as a frame (size, size, C); the fourth plane is its opacity."""
    colours = resized_frames(image[:, :3], size, levels)[0]
    if image.shape[1] == 3:
        return colours
    opacity = resized_frames(image[:, 3:].expand(-1, 3, -1, -1), size)[0]
    return np.dstack([colours, opacity[..., 0]])


def _pasted(scene: Scene) -> Iterator[Frame]:
    """Face crops back in the photo, where results are not composed of layers."""
    source, face = scene.stage.source, scene.face
    place = source.crop.resized(scene.size)
    before = face.head_region(source.params, source.crop.size)
    for image, moved_face in zip(scene.images, scene.faces, strict=False):
        result = resized_frames(image, scene.size, scene.levels)[0]
        now = face.head_region(moved_face, source.crop.size)
        yield paste_back(source.photo, result, place, paste_mask(before, now, scene.size))


class Composition(NamedTuple):
    """stage: makes the stage of a source, from the network that finds people (None where the
    source's detail is not carried), `output_size` and `background`.
    frames: makes the frames of a scene.
    """

    stage: Callable[[SourceFace[Any], PersonFinder | None, int, str], Stage]
    frames: Callable[[Scene], Iterator[Frame]]


COMPOSITIONS: dict[str, Composition] = {
    "photo": Composition(photo_stage, photo),
    "crop": Composition(crop_stage, crop),
    "follow": Composition(crop_stage, follow),
}
SQUARES: dict[str, Callable[[TargetMotion[Any]], list[FaceCrop]]] = {
    "crop": lambda tracked: tracked.crops,
    "follow": lambda tracked: tracked.windows,
}
"""For compositions that show a square of the picture: the same squares of the target's frames."""

if TYPE_CHECKING:
    CompositionName = str
else:
    # A config with a field of this type accepts exactly the names in the registry.
    CompositionName = Literal[tuple(COMPOSITIONS)]


def find_composition(name: CompositionName) -> Composition:
    """The composition of this name. Raises UserError for an unknown name."""
    if name not in COMPOSITIONS:
        raise UserError(f"compose: must be one of {', '.join(COMPOSITIONS)}, got {name!r}")
    return COMPOSITIONS[name]


def resized_frames(images: Tensor, size: int, levels: Levels = "exact") -> Frame:
    """Images (B, 3, S, S) in [-1, 1] as uint8 frames (B, size, size, 3), bicubic, antialiased.

    levels: see `AnimateOptions`.
    """
    images = images.float()
    if images.shape[-1] != size:
        images = F.interpolate(
            images, size=(size, size), mode="bicubic", align_corners=False, antialias=True
        )
    if levels == "stretched":
        return stretched_frames(images)
    return frame_from_image(images.clamp(-1, 1))


def stretched_frames(images: Tensor) -> Frame:
    """Images (B, 3, S, S) as frames, each with its least value at 0 and its greatest at 255.

    The authors' script saves pictures so. The rounding is the same as there.
    """
    flat = images.float().flatten(1)
    low, high = flat.amin(1)[:, None, None, None], flat.amax(1)[:, None, None, None]
    levels = ((images - low) / (high - low).clamp(min=1e-5)).mul(255).add(0.5).clamp(0, 255)
    frames: Frame = levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(frames)


def moved(frame: Frame, crop: FaceCrop, window: FaceCrop) -> Frame:
    """The result `frame` (S, S, 3) of the square `crop`, as the square `window` shows it.

    Both squares have the side S and lie in one target frame. The outermost pixels of the result are
    repeated in what it does not cover.
    """
    if window is crop:
        return frame
    matrix = window.crop_from_frame @ crop.frame_from_crop
    return warp_to_crop(frame, FaceCrop(crop_from_frame=matrix, size=window.size))


def side_by_side(frames: Sequence[Frame]) -> Frame:
    """Frames of one height (H, W_i, 3) next to each other: (H, sum of W_i, 3)."""
    return np.concatenate(list(frames), axis=1)


def of_height(frame: Frame, height: int) -> Frame:
    """The frame (H, W, 3) resized to this height; its width is even, as videos want it."""
    width = max(2, 2 * round(frame.shape[1] * height / len(frame) / 2))
    image = Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image)


def shrunk(source: SourceFace[Any], max_side: int) -> SourceFace[Any]:
    """The face in its photo with the longer side at most `max_side` pixels."""
    picture, crop = shrink_to(source.photo, source.crop, max_side)
    alpha = source.alpha
    if alpha is not None:
        alpha, _ = shrink_to(alpha, source.crop, max_side)
    return replace(source, photo=picture, crop=crop, alpha=alpha)


def shrink_to(frame: Frame, crop: FaceCrop, max_side: int | None) -> tuple[Frame, FaceCrop]:
    """The frame with its longer side at most `max_side` pixels, and the crop moved with it."""
    height, width = frame.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return frame, crop
    factor = max_side / max(height, width)
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = np.asarray(Image.fromarray(frame).resize(small, Image.Resampling.LANCZOS))
    # One factor for both axes keeps the crop a similarity; rounding the size moves it by < 1 px.
    matrix = crop.crop_from_frame @ np.diag([1 / factor, 1 / factor, 1.0])
    return shrunk, FaceCrop(crop_from_frame=matrix, size=crop.size)


def paste_mask(before: Tensor, now: Tensor, size: int) -> np.ndarray:
    """How much of each pixel of a result goes into the photo: (size, size) in [0, 1].

    before, now: (1, 1, S, S), the head region in the photo and in the result. Outside of both the
    photo keeps its own background, which is sharper. The mask is 0 at the crop's border.
    """
    heads = F.interpolate(
        torch.maximum(before, now), size=(size, size), mode="bilinear", align_corners=False
    )
    mask: np.ndarray = heads[0, 0].cpu().numpy() * feathered_mask(size)
    return mask
