"""Batches of pairs: their pictures and their parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from reenact.data.clips import Clip
from reenact.evaluation.pairing.pairs import Pair, Video
from reenact.evaluation.readers import ParamsReader, cat_faces
from reenact.face.batch import FaceBatch
from reenact.media.images import frame_from_image, image_from_frame


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs that are measured together: pictures (B, 3, S, S) in [-1, 1], and parameters (B).

    reference: the true picture. Where there is none, it is the target itself.
    """

    pairs: list[Pair]
    source: Tensor
    target: Tensor
    reference: Tensor
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
        yield Batch(
            pairs=chosen,
            source=source,
            target=target,
            reference=image_from_frame(np.stack([_reference(pair, clips) for pair in chosen])),
            source_params=source_params,
            target_params=target_params,
        )


def panels(batch: Batch, images: dict[str, Tensor], i: int) -> dict[str, np.ndarray]:
    """The frames that the report shows of pair `i`, by name."""
    shown = {"source": batch.source, "target": batch.target, "ours": images["ours"]}
    if "oracle" in images:
        shown["oracle"] = images["oracle"]
    if batch.pairs[i].has_truth:
        shown["reference"] = batch.reference
    return {name: frame_from_image(tensor[i : i + 1])[0] for name, tensor in shown.items()}


def _reference(pair: Pair, clips: dict[str, Clip]) -> np.ndarray:
    if not pair.has_truth:
        return clips[pair.target_clip].frame(pair.target_frame)
    if pair.mode == "cross":
        return clips[pair.source_clip].cross_frame(pair.reference)
    return clips[pair.source_clip].frame(pair.reference)
