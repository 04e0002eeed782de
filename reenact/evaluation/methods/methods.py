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
from reenact.errors import UserError
from reenact.evaluation.methods.batches import Batch
from reenact.evaluation.methods.predictions import PredictionFolder
from reenact.evaluation.pairing.pairs import Video
from reenact.face.factory import FaceConfig, own_weights
from reenact.face.params import FaceParams
from reenact.face.person_mask import KnownPerson
from reenact.files import check_input_file
from reenact.inference.canvas import SourceView, middle, wide_view
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.inference.source_state import SourceState
from reenact.media.images import image_from_frame

Variant = Literal["ours", "networks", "warp_only", "copy_source", "oracle"]
VARIANTS: tuple[Variant, ...] = ("ours", "networks", "warp_only", "copy_source", "oracle")
DEFAULT_VARIANTS: tuple[Variant, ...] = ("ours", "copy_source", "oracle")


Key = tuple[str, int, bytes]


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
    if weights is not None and not weights.exists():
        raise UserError(
            f"weights: {weights}: no such file; train it first (the config of stage reenact names "
            "it as export), or set weights to another file"
        )
    path = own_weights(face).path if weights is None else check_input_file(weights)
    reenactor = Reenactor.load(weights, config=config, device=device, face=face)
    with path.open("rb") as file:
        return reenactor, hashlib.file_digest(file, "sha256").hexdigest()


class StateCache:
    """The source states of the current batch. A source that the last batch had is kept."""

    def __init__(self, reenactor: Reenactor) -> None:
        self.reenactor = reenactor
        self.states: dict[Key, SourceState] = {}
        self.people: dict[tuple[str, int], KnownPerson] = {}

    def rows(self, batch: Batch) -> SourceState:
        """A state with one row for each pair of the batch."""
        keys = [self._key(batch, i) for i in range(len(batch.pairs))]
        first = {key: keys.index(key) for key in keys}
        new = [i for key, i in first.items() if key not in self.states]
        kept = {key: self.states[key] for key in first if key in self.states}
        if new:
            state = self._states(batch, new)
            kept |= {keys[i]: state[[row]] for row, i in enumerate(new)}
        self.states = kept
        self.people = {key[:2]: self.people[key[:2]] for key in kept if key[:2] in self.people}
        return SourceState.cat([kept[key] for key in keys])

    def _key(self, batch: Batch, i: int) -> Key:
        """What a state depends on. Without layers it does not matter what the results show."""
        has_layers = self.reenactor.recipe.carry_detail
        place = batch.shown[i].crop_from_frame.tobytes() if has_layers else b""
        return batch.pairs[i].source_clip, batch.pairs[i].source_frame, place

    def _states(self, batch: Batch, rows: list[int]) -> SourceState:
        source, params = batch.source[rows], batch.source_params[rows]
        if not self.reenactor.recipe.carry_detail:
            return self.reenactor.set_source(source, params)
        assert isinstance(params, FaceParams), "only the open face stack has layers"
        view = SourceView.cat([self._view(batch, i) for i in rows])
        # From the source crops to the squares of the true pictures.
        moves = [batch.shown[i].crop_from_frame @ batch.crops[i].frame_from_crop for i in rows]
        return self.reenactor.set_source(source, params, view, params.transformed(np.stack(moves)))

    def _view(self, batch: Batch, i: int) -> SourceView:
        key, photo = self._key(batch, i)[:2], batch.photos[i]
        if key not in self.people:
            image = image_from_frame(photo).to(self.reenactor.device)
            mask = self.reenactor.person_mask.of_photo(image, batch.crops[i])
            self.people[key] = KnownPerson(mask)
        return wide_view(photo, batch.shown[i], self.people[key])


class ReenactorMethod:
    """Our reenactor.

    The variant "networks" is the networks' picture, of which the layers are no part. The variant
    "warp_only" is the moved layers alone, without the networks' picture. The variant "oracle" uses
    only the pretrained DiffAE. It decodes the semantic code of the true picture from the x_T of the
    source, with `oracle_steps` DDIM steps each way.
    """

    def __init__(self, reenactor: Reenactor, pictures: Sequence[str], oracle_steps: int) -> None:
        self.reenactor, self.pictures, self.oracle_steps = reenactor, pictures, oracle_steps
        self.cache = StateCache(reenactor)

    @torch.inference_mode()
    def render(self, batch: Batch) -> dict[str, Tensor]:
        state = self.cache.rows(batch)
        networks, ours = self.reenactor.rendered(state, batch.target_params)
        images = {"ours": middle(ours, batch.source.shape[-1])}
        if "networks" in self.pictures:
            images["networks"] = networks
        if "warp_only" in self.pictures:
            images["warp_only"] = self.reenactor.warped(state, batch.target_params)
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
