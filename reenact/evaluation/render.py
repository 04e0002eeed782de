"""Batches of pairs and the pictures that every variant makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from reenact.device import autocast
from reenact.evaluation.pairs import Clip, Pair
from reenact.evaluation.reading import FaceReader
from reenact.face.params import FaceParams
from reenact.images import frame_from_image, image_from_frame
from reenact.inference.reenactor import Reenactor, SourceState


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pairs measured together, with their pictures (B, 3, S, S) and parameters (B)."""

    pairs: list[Pair]
    source: Tensor
    target: Tensor
    reference: Tensor
    source_params: FaceParams
    target_params: FaceParams


def load_batches(
    pairs: list[Pair],
    clips: dict[str, Clip],
    batch_size: int,
    params: Literal["truth", "tracked"],
    reader: FaceReader,
) -> Iterator[Batch]:
    """The pairs in order, `batch_size` at a time. params: see `EvalRun`."""
    for start in range(0, len(pairs), batch_size):
        chosen = pairs[start : start + batch_size]
        sources = [(clips[pair.source_clip], pair.source_frame) for pair in chosen]
        targets = [(clips[pair.target_clip], pair.target_frame) for pair in chosen]
        references = [
            clips[pair.source_clip].frames[pair.reference]
            if pair.mode == "self"
            else clips[pair.source_clip].cross_frames[pair.reference]
            for pair in chosen
        ]
        source = image_from_frame(np.stack([clip.frames[i] for clip, i in sources]))
        target = image_from_frame(np.stack([clip.frames[i] for clip, i in targets]))
        source_params = FaceParams.cat([clip.params[i] for clip, i in sources])
        target_params = FaceParams.cat([clip.params[i] for clip, i in targets])
        if params == "tracked":
            source_params = reader.params(source, fallback=source_params)
            target_params = reader.params(target, fallback=target_params)
        yield Batch(
            pairs=chosen,
            source=source,
            target=target,
            reference=image_from_frame(np.stack(references)),
            source_params=source_params,
            target_params=target_params,
        )


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
            kept |= {key: _state_rows(state, [i]) for i, key in enumerate(new)}
        self.states = kept
        ordered = [kept[key] for key in keys]
        return SourceState(
            params=FaceParams.cat([state.params for state in ordered]),
            image=torch.cat([state.image for state in ordered]),
            z_source=torch.cat([state.z_source for state in ordered]),
            x_T=torch.cat([state.x_T for state in ordered]),
        )


@torch.inference_mode()
def render_variants(
    batch: Batch, reenactor: Reenactor, cache: StateCache, oracle_steps: int
) -> dict[str, Tensor]:
    """The pictures of all VARIANTS, (B, 3, S, S) in [-1, 1] each.

    The oracle is the pretrained DiffAE alone: the source's x_T under the code of the true picture,
    inverted and decoded in `oracle_steps` DDIM steps each.
    """
    diffae, device = reenactor.diffae, reenactor.device
    source, reference = batch.source.to(device), batch.reference.to(device)
    with autocast(reenactor.dtype, device):
        z_source, z_target = diffae.encode_semantic(source), diffae.encode_semantic(reference)
        x_T = diffae.encode_stochastic(source, z_source, num_steps=oracle_steps)
        oracle = diffae.decode(x_T, z_target, num_steps=oracle_steps)
    return {
        "ours": reenactor.render(cache.rows(batch), batch.target_params),
        "copy_source": source,
        "oracle": oracle.float().clamp(-1, 1),
    }


def panels(batch: Batch, images: dict[str, Tensor], i: int) -> list[np.ndarray]:
    """The frames of report.PANELS for one pair."""
    tensors = [
        batch.source[i],
        batch.target[i],
        images["ours"][i],
        images["oracle"][i],
        batch.reference[i],
    ]
    return list(frame_from_image(torch.stack([tensor.cpu() for tensor in tensors])))


def _state_rows(state: SourceState, rows: list[int]) -> SourceState:
    return SourceState(
        params=state.params[rows],
        image=state.image[rows],
        z_source=state.z_source[rows],
        x_T=state.x_T[rows],
    )
