"""The methods that are evaluated: each makes the pictures of a batch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from reenact.data.clips import Clip
from reenact.device import autocast
from reenact.evaluation.methods.batches import Batch
from reenact.evaluation.methods.predictions import PredictionFolder
from reenact.evaluation.pairing.pairs import Video
from reenact.face.factory import FaceConfig, own_weights
from reenact.files import check_input_file
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.inference.source_state import SourceState
from reenact.media.images import image_from_frame

Variant = Literal["ours", "copy_source", "oracle"]
VARIANTS: tuple[Variant, ...] = ("ours", "copy_source", "oracle")


class Method(Protocol):
    """Anything that makes the pictures that are measured."""

    def render(self, batch: Batch) -> dict[str, Tensor]:
        """The pictures by name, (B, 3, S, S) in [-1, 1]. "ours" is the result of the method."""
        ...


def load_reenactor(
    weights: Path | None, face: FaceConfig, config: ReenactorConfig, device: str
) -> tuple[Reenactor, str]:
    """The reenactor and the sha256 of its weights file.

    Raises UserError or CheckpointError for missing or foreign files.
    """
    path = own_weights(face).path if weights is None else check_input_file(weights)
    reenactor = Reenactor.load(weights, config=config, device=device, face=face)
    with path.open("rb") as file:
        return reenactor, hashlib.file_digest(file, "sha256").hexdigest()


class StateCache:
    """The source states of the current batch. A source that the last batch had is kept."""

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


class ReenactorMethod:
    """Our reenactor.

    The variant "oracle" uses only the pretrained DiffAE. It decodes the semantic code of the true
    picture from the x_T of the source, with `oracle_steps` DDIM steps each way.
    """

    def __init__(self, reenactor: Reenactor, pictures: Sequence[str], oracle_steps: int) -> None:
        self.reenactor, self.pictures, self.oracle_steps = reenactor, pictures, oracle_steps
        self.cache = StateCache(reenactor)

    @torch.inference_mode()
    def render(self, batch: Batch) -> dict[str, Tensor]:
        images = {"ours": self.reenactor.render(self.cache.rows(batch), batch.target_params)}
        if "copy_source" in self.pictures:
            images["copy_source"] = batch.source.to(self.reenactor.device)
        if "oracle" in self.pictures:
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


class FolderMethod:
    """Any method whose results lie in a folder. One video is in memory at a time."""

    def __init__(
        self,
        folder: PredictionFolder,
        videos: Sequence[Video],
        clips: dict[str, Clip],
        pictures: Sequence[str],
        device: torch.device,
    ) -> None:
        self.folder, self.clips, self.pictures = folder, clips, pictures
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
        if "copy_source" in self.pictures:
            images["copy_source"] = batch.source.to(self.device)
        return images
