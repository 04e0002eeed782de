"""Batches of pairs and the pictures that every variant makes of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from reenact.data.clips import Clip
from reenact.device import autocast
from reenact.evaluation.pairs import Pair, Video
from reenact.evaluation.predictions import PredictionFolder
from reenact.face.batch import FaceBatch
from reenact.inference.reenactor import Reenactor, SourceState
from reenact.media.images import frame_from_image, image_from_frame

Variants = Sequence[str]
"""Some of `summary.VARIANTS`."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs measured together, with their pictures (B, 3, S, S) and parameters (B).

    reference: the true picture; the target itself where there is none.
    """

    pairs: list[Pair]
    source: Tensor
    target: Tensor
    reference: Tensor
    source_params: FaceBatch
    target_params: FaceBatch


class ParamsReader(Protocol):
    """Reads the faces of images (B, 3, S, S) in the terms of the networks that are evaluated."""

    def params(self, images: Tensor, fallback: FaceBatch) -> FaceBatch:
        """B faces; rows of `fallback` where no face was found."""
        ...


class Renderer(Protocol):
    """Whatever makes the pictures that are measured."""

    def render(self, batch: Batch) -> dict[str, Tensor]:
        """The pictures of every variant, (B, 3, S, S) in [-1, 1] each."""
        ...


def load_batches(
    videos: Sequence[Video],
    clips: dict[str, Clip],
    batch_size: int,
    reader: ParamsReader | None = None,
) -> Iterator[Batch]:
    """The pairs of the videos in order, `batch_size` at a time.

    reader: None takes the parameters that are stored with the clips.
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


def cat_faces(parts: Sequence[FaceBatch]) -> FaceBatch:
    """Batches of one face stack as one batch."""
    return type(parts[0]).cat(parts)


def _reference(pair: Pair, clips: dict[str, Clip]) -> np.ndarray:
    if not pair.has_truth:
        return clips[pair.target_clip].frame(pair.target_frame)
    if pair.mode == "cross":
        return clips[pair.source_clip].cross_frame(pair.reference)
    return clips[pair.source_clip].frame(pair.reference)


class StateCache:
    """Source states of the batch at hand: a source shared with the batch before is kept."""

    def __init__(self, reenactor: Reenactor) -> None:
        self.reenactor = reenactor
        self.states: dict[tuple[str, int], SourceState] = {}

    def rows(self, batch: Batch) -> SourceState:
        """A state with one row for each pair of the batch."""
        keys = [(pair.source_clip, pair.source_frame) for pair in batch.pairs]
        first = {key: keys.index(key) for key in keys}
        new = [key for key in first if key not in self.states]
        kept = {key: self.states[key] for key in first if key in self.states}
        if new:
            index = [first[key] for key in new]
            state = self.reenactor.set_source(batch.source[index], batch.source_params[index])
            kept |= {key: state[[i]] for i, key in enumerate(new)}
        self.states = kept
        return SourceState.cat([kept[key] for key in keys])


class ReenactorRenderer:
    """Renders with a reenactor. The oracle is its pretrained DiffAE alone: the source's x_T under
    the code of the true picture, inverted and decoded in `oracle_steps` DDIM steps each.
    """

    def __init__(self, reenactor: Reenactor, variants: Variants, oracle_steps: int) -> None:
        self.reenactor, self.variants, self.oracle_steps = reenactor, variants, oracle_steps
        self.cache = StateCache(reenactor)

    @torch.inference_mode()
    def render(self, batch: Batch) -> dict[str, Tensor]:
        images = {"ours": self.reenactor.render(self.cache.rows(batch), batch.target_params)}
        if "copy_source" in self.variants:
            images["copy_source"] = batch.source.to(self.reenactor.device)
        if "oracle" in self.variants:
            images["oracle"] = self._oracle(batch)
        return images

    def _oracle(self, batch: Batch) -> Tensor:
        diffae, device = self.reenactor.diffae, self.reenactor.device
        source, reference = batch.source.to(device), batch.reference.to(device)
        with autocast(self.reenactor.dtype, device):
            z_source, z_target = diffae.encode_semantic(source), diffae.encode_semantic(reference)
            x_T = diffae.encode_stochastic(source, z_source, num_steps=self.oracle_steps)
            oracle = diffae.decode(x_T, z_target, num_steps=self.oracle_steps)
        return oracle.float().clamp(-1, 1)


class PredictionRenderer:
    """Takes the pictures from a folder of results, one video in memory at a time."""

    def __init__(
        self,
        folder: PredictionFolder,
        videos: Sequence[Video],
        clips: dict[str, Clip],
        variants: Variants,
        device: torch.device,
    ) -> None:
        self.folder, self.clips, self.variants = folder, clips, variants
        self.device = device
        self.videos = {video[0].video: video for video in videos}
        self._frames: dict[str, dict[str, np.ndarray]] = {}

    def render(self, batch: Batch) -> dict[str, Tensor]:
        wanted = {pair.video for pair in batch.pairs}
        self._frames = {name: frames for name, frames in self._frames.items() if name in wanted}
        for name in wanted - self._frames.keys():
            video = self.videos[name]
            count = self.clips[video[0].target_clip].num_frames
            frames = self.folder.frames(video, count)
            self._frames[name] = {p.key: f for p, f in zip(video, frames, strict=True)}
        chosen = [self._frames[pair.video][pair.key] for pair in batch.pairs]
        images = {"ours": image_from_frame(np.stack(chosen)).to(self.device)}
        if "copy_source" in self.variants:
            images["copy_source"] = batch.source.to(self.device)
        return images


def panels(batch: Batch, images: dict[str, Tensor], i: int) -> dict[str, np.ndarray]:
    """The frames that are shown of one pair, by name."""
    shown = {"source": batch.source, "target": batch.target, "ours": images["ours"]}
    if "oracle" in images:
        shown["oracle"] = images["oracle"]
    if batch.pairs[i].has_truth:
        shown["reference"] = batch.reference
    return {name: frame_from_image(tensor[i : i + 1])[0] for name, tensor in shown.items()}
