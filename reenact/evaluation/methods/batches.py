"""Batches of pairs: their pictures and their parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reenact.data.clips import Clip
from reenact.evaluation.pairing.pairs import Pair, Video
from reenact.evaluation.readers import ParamsReader, cat_faces
from reenact.face.batch import FaceBatch
from reenact.face.crop import FaceCrop
from reenact.media.images import frame_from_image, image_from_frame

REGIONS = ("face", "hair", "body", "background", "hidden")
"""The parts of a true picture that are measured apart. `hair` is all of the head but the face: hair
and hats, ears and neck. `body` is the clothes. `hidden` is the surface of the person that the
source picture does not show, such as the far cheek after a turn; it overlaps the other parts.
"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs that are measured together: pictures (B, 3, S, S) in [-1, 1], and parameters (B).

    reference: the true picture. Where there is none, it is the target itself.
    regions: (B, 5, S, S) in [0, 1], see `Comparison`.
    photos: (H, W, 3) uint8, what is known around each source crop. It is the crop itself where
        nothing more is known.
    crops: the source crops in the photos.
    shown: the squares of the photos that the true pictures show.
    """

    pairs: list[Pair]
    source: Tensor
    target: Tensor
    reference: Tensor
    regions: Tensor
    photos: list[np.ndarray]
    crops: list[FaceCrop]
    shown: list[FaceCrop]
    source_params: FaceBatch
    target_params: FaceBatch


def load_batches(
    videos: Sequence[Video],
    clips: dict[str, Clip],
    batch_size: int,
    reader: ParamsReader | None = None,
) -> Iterator[Batch]:
    """The pairs of the videos in order, `batch_size` at a time.

    reader: reads the parameters from the pictures. None takes the stored parameters of the clips.
    """
    pairs = [pair for video in videos for pair in video]
    for start in range(0, len(pairs), batch_size):
        chosen = pairs[start : start + batch_size]
        sources = [(clips[pair.source_clip], pair.source_frame) for pair in chosen]
        targets = [(clips[pair.target_clip], pair.target_frame) for pair in chosen]
        source = image_from_frame(np.stack([clip.frame(i) for clip, i in sources]))
        target = image_from_frame(np.stack([clip.frame(i) for clip, i in targets]))
        source_params = cat_faces([clip.params[i] for clip, i in sources])
        target_params = cat_faces([clip.params[i] for clip, i in targets])
        if reader is not None:
            source_params = reader.params(source, fallback=source_params)
            target_params = reader.params(target, fallback=target_params)
        places = [_places(pair, clips) for pair in chosen]
        yield Batch(
            pairs=chosen,
            source=source,
            target=target,
            reference=image_from_frame(np.stack([_reference(pair, clips) for pair in chosen])),
            regions=torch.from_numpy(np.stack([_regions(pair, clips) for pair in chosen])),
            photos=[photo for photo, _, _ in places],
            crops=[crop for _, crop, _ in places],
            shown=[shown for _, _, shown in places],
            source_params=source_params,
            target_params=target_params,
        )


def panels(batch: Batch, images: dict[str, Tensor], i: int) -> dict[str, np.ndarray]:
    """The frames that the report shows of pair `i`, by name."""
    shown = {"source": batch.source, "target": batch.target, "ours": images["ours"]}
    shown |= {name: images[name] for name in ("warp_only", "oracle") if name in images}
    if batch.pairs[i].has_truth:
        shown["reference"] = batch.reference
    return {name: frame_from_image(tensor[i : i + 1])[0] for name, tensor in shown.items()}


def _reference(pair: Pair, clips: dict[str, Clip]) -> np.ndarray:
    if not pair.has_truth:
        return clips[pair.target_clip].frame(pair.target_frame)
    clip = clips[pair.source_clip]
    return clip.cross_frame(pair.reference) if _is_cross(pair) else clip.frame(pair.reference)


def _regions(pair: Pair, clips: dict[str, Clip]) -> np.ndarray:
    """(5, S, S) float32, see `Comparison`; zeros for what is not known."""
    clip, index = clips[pair.source_clip], pair.reference
    if not pair.has_truth:
        return np.zeros((len(REGIONS), *clip.face_mask(0).shape), np.float32)
    face = (clip.cross_mask if _is_cross(pair) else clip.face_mask)(index)
    alpha = clip.cross_alpha if _is_cross(pair) else clip.alpha
    head, person = alpha("head", index), alpha("foreground", index)
    # The clips know what frame 0 hides, and nothing of other sources.
    hidden = alpha("hidden", index) if pair.source_frame == 0 else None
    nothing = np.zeros(face.shape, int)
    parts = [
        face,
        nothing if head is None else head.astype(int) - face,
        nothing if head is None or person is None else person.astype(int) - head,
        nothing if person is None else 255 - person.astype(int),
        nothing if hidden is None else hidden,
    ]
    return np.stack(parts).clip(0, 255).astype(np.float32) / 255


def _places(pair: Pair, clips: dict[str, Clip]) -> tuple[np.ndarray, FaceCrop, FaceCrop]:
    """The photo of a pair, the source crop in it, and the square that the true picture shows.

    A rendered cross frame shows the source's own square. So does any picture without a photo.
    """
    clip = clips[pair.source_clip]
    size = len(clip.frame(pair.source_frame))
    if not clip.has_photo or pair.source_frame != 0:
        crop = FaceCrop(crop_from_frame=np.eye(3), size=size)
        return clip.frame(pair.source_frame), crop, crop
    photo = clip.photo()[..., :3]
    margin = (len(photo) - size) / 2
    shift = np.array([[1.0, 0, -margin], [0, 1, -margin], [0, 0, 1]])
    crop = FaceCrop(crop_from_frame=shift, size=size)
    if _is_cross(pair):
        return photo, crop, crop
    own, target = (clip.crop_from_frame(i) for i in (pair.source_frame, pair.reference))
    matrix = target @ np.linalg.inv(own) @ shift
    return photo, crop, FaceCrop(crop_from_frame=matrix, size=size)


def _is_cross(pair: Pair) -> bool:
    return pair.mode == "cross"
