"""Batches of frames and pairs, drawn at random from the clips on disk.

Every sample depends on the seed, the step and its index in the batch, and on nothing else. The
number of workers, the batch size and interruptions do not change it. A resumed run sees exactly the
batches of an unbroken one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reenact.data import augment
from reenact.data.augment import Augmentation, AugmentConfig
from reenact.data.clip import PHOTO_REACH
from reenact.data.clips import Clip, open_clips
from reenact.data.misfit import misread
from reenact.errors import UserError
from reenact.face.factory import STACKS
from reenact.ranges import Checked, Range


@dataclass(frozen=True, kw_only=True)
class DataConfig(Checked):
    """Where the clips are and how they are read.

    root: folder that holds the clips and their manifest.
    split: the clips to train on.
    val_split: the clips for previews and validation. If the folder has none, a run that wants them
        ends at the start. The training split is allowed: the run then says so and logs `seen/...`
        instead of `val/...`.
    num_workers: processes that read and augment batches; 0 does it in the training process.
    augment: image augmentation.
    """

    root: Path
    split: str = "train"
    val_split: str = "val"
    num_workers: Annotated[int, Range(at_least=0, at_most=512)] = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which pairs a stage trains on.

    cross_fraction: share of cross pairs; the others are self pairs.
    cross_start: up to this step all pairs are self pairs.
    cross_frames: true takes the rendered cross frames of the clips, which show the true result.
        Only synthetic clips have them. false takes the motion of any frame of any other clip.
    with_photo: sources are frames whose photo is known, and samples hold it.
    """

    cross_fraction: float = 0.0
    cross_start: int = 0
    cross_frames: bool = True
    with_photo: bool = False


class ClipDataset:
    """Random frames and pairs of the clips of one split.

    Attributes:
        clip_set, clips: the clips of the split.
        size: side S of the crops in pixels.
        face: the face stack that read the parameters.

    Raises UserError when the folder has no manifest, or no clip of the split.
    """

    def __init__(self, root: Path, split: str) -> None:
        self.clip_set = open_clips(root, split)
        self.clips = self.clip_set.clips
        self.size = self.clip_set.size
        self.face = self.clip_set.face

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def clips_with_cross(self) -> list[Clip]:
        """The clips that have cross frames, all with target clips of this split."""
        names = {clip.name for clip in self.clips}
        return [
            clip
            for clip in self.clips
            if clip.cross and all(record.target_clip in names for record in clip.cross)
        ]

    def frame(self, rng: np.random.Generator, config: AugmentConfig) -> dict[str, np.ndarray]:
        """One random frame: `image` (3, S, S) in [-1, 1]."""
        clip = self.clips[int(rng.integers(len(self.clips)))]
        index = int(rng.integers(clip.num_frames))
        augmentation = augment.draw(config, rng)
        return {"image": augment.apply(augmentation, clip.frame(index))}

    def pair(
        self, rng: np.random.Generator, config: AugmentConfig, pairs: PairConfig, step: int
    ) -> dict[str, np.ndarray]:
        """One pair: a source, the motion of a target, and the true result (the reference).

        A self pair takes two different frames of a clip. A cross pair takes the motion from a frame
        of another clip, see `PairConfig`. If a cross pair has no rendered truth, the reference is
        the source itself.

        Returns:
            source, reference: (3, S, S) in [-1, 1].
            source_mask, reference_mask: (1, S, S), face coverage in [0, 1].
            source_NAME, target_NAME: each face parameter. The target still has its own identity,
                see `FaceModel.retarget`.
            source_landmarks, target_landmarks: (68, 2), only for a face stack whose parameters do
                not say where the face is.
            is_cross: bool.
            photo, photo_alpha: (3, 2 S, 2 S) and (1, 2 S, 2 S), the picture around the source,
                which is in its middle, and the person's alpha. Only with `pairs.with_photo`.
            reference_from_source: (3, 3), pixels of the source to pixels of the reference, from the
                places of both in the film. Only with `pairs.with_photo`.
        """
        fraction = pairs.cross_fraction if step >= pairs.cross_start else 0.0
        is_cross = rng.random() < fraction
        augmentation = augment.draw(config, rng)
        if not is_cross:
            chosen = self._self_pair(rng, from_first=pairs.with_photo)
        elif pairs.cross_frames:
            chosen = self._rendered_cross_pair(rng)
        else:
            chosen = self._cross_pair(rng)
        clip, source = chosen.clip, chosen.source_frame
        sample: dict[str, np.ndarray] = {
            "source": augment.apply(augmentation, clip.frame(source)),
            "reference": augment.apply(augmentation, chosen.reference()),
            "source_mask": augment.apply_mask(augmentation, clip.face_mask(source)),
            "reference_mask": augment.apply_mask(augmentation, chosen.reference_mask()),
            "is_cross": np.array(is_cross),
        }
        ends = {"source": (clip, source), "target": (chosen.target_clip, chosen.target_frame)}
        faces = [
            {name: values[0] for name, values in of_clip.params[frame].numpy().items()}
            for of_clip, frame in ends.values()
        ]
        if pairs.with_photo:
            sample |= _photo_of(chosen, augmentation)
        if config.misfit:
            faces = misread(faces, self.size, config.misfit, rng)
        for (role, (of_clip, frame)), face in zip(ends.items(), faces, strict=True):
            sample |= {
                f"{role}_{name}": np.asarray(value, np.float32) for name, value in face.items()
            }
            if not STACKS[self.face].has_places:
                sample[f"{role}_landmarks"] = of_clip.landmarks[frame]
        return sample

    def _self_pair(self, rng: np.random.Generator, *, from_first: bool) -> _Pair:
        clip = self.clips[int(rng.integers(len(self.clips)))]
        source = 0 if from_first else int(rng.integers(clip.num_frames))
        # The offset is at least 1, so the two frames differ.
        offset = int(rng.integers(1, max(clip.num_frames, 2)))
        target = (source + offset) % clip.num_frames
        return _Pair(clip, source, clip, target, ("own", target))

    def _rendered_cross_pair(self, rng: np.random.Generator) -> _Pair:
        if not self.clips_with_cross:
            raise UserError(
                "cross pairs need cross frames: generate the clips with --cross above 0, "
                "or set cross_fraction to 0"
            )
        clip = self.clips_with_cross[rng.integers(len(self.clips_with_cross))]
        index = int(rng.integers(len(clip.cross)))
        record = clip.cross[index]
        return _Pair(
            clip,
            record.source_frame,
            self.clip_set.by_name[record.target_clip],
            record.target_frame,
            ("cross", index),
        )

    def _cross_pair(self, rng: np.random.Generator) -> _Pair:
        if len(self.clips) < 2:
            raise UserError("cross pairs need at least two clips, or set cross_fraction to 0")
        first = int(rng.integers(len(self.clips)))
        other = (first + int(rng.integers(1, len(self.clips)))) % len(self.clips)
        clip, target_clip = self.clips[first], self.clips[other]
        source = int(rng.integers(clip.num_frames))
        target = int(rng.integers(target_clip.num_frames))
        return _Pair(clip, source, target_clip, target, ("own", source))


class _Pair(NamedTuple):
    """The frames of a pair.

    `shown` tells which frame of `clip` is the reference: one of its own frames, or one of its
    rendered cross frames.
    """

    clip: Clip
    source_frame: int
    target_clip: Clip
    target_frame: int
    shown: tuple[Literal["own", "cross"], int]

    def reference(self) -> np.ndarray:
        which, index = self.shown
        return self.clip.frame(index) if which == "own" else self.clip.cross_frame(index)

    def reference_mask(self) -> np.ndarray:
        which, index = self.shown
        return self.clip.face_mask(index) if which == "own" else self.clip.cross_mask(index)


def _photo_of(pair: _Pair, augmentation: Augmentation) -> dict[str, np.ndarray]:
    """The parts of a sample that come from the photo around the source. Raises UserError."""
    clip = pair.clip
    if pair.source_frame != 0:
        raise UserError(
            f"{clip.name}: frame {pair.source_frame} is a source, but only frame 0 has a photo; "
            "pairs with photos need clips of python -m reenact synthetic"
        )
    photo = clip.photo()
    picture = augment.apply(augmentation, photo[..., :3])
    size = len(photo) // PHOTO_REACH
    inside = slice((len(photo) - size) // 2, (len(photo) + size) // 2)
    matrix = np.eye(3)
    which, index = pair.shown
    if which == "own":
        matrix = clip.crop_from_frame(index) @ np.linalg.inv(clip.crop_from_frame(0))
    return {
        "source": np.ascontiguousarray(picture[:, inside, inside]),
        "photo": picture,
        "photo_alpha": augment.apply_mask(augmentation, photo[..., 3]),
        "reference_from_source": matrix.astype(np.float32),
    }


def sample_rng(seed: int, step: int, index: int) -> np.random.Generator:
    """The generator for all random choices of sample `index` in the batch of `step`."""
    return np.random.default_rng([seed, step, index])


def draw_batch(
    dataset: ClipDataset,
    *,
    pairs: PairConfig | None,
    config: AugmentConfig,
    batch_size: int,
    seed: int,
    step: int,
    rows: Sequence[int] | None = None,
) -> dict[str, Tensor]:
    """The batch of a step.

    Args:
        dataset: the clips.
        pairs: which pairs are drawn, see `ClipDataset.pair`. None draws single frames.
        config: image augmentation.
        batch_size: samples in the batch.
        seed, step: the random choices depend on these two and on the number of the sample.
        rows: numbers of the samples that are made; None makes all.

    Returns:
        The samples stacked, and for the diffusion `u` (B,), uniform in [0, 1), and `eps`
        (B, 3, S, S), normal noise.
    """
    samples = []
    for index in range(batch_size) if rows is None else rows:
        rng = sample_rng(seed, step, index)
        if pairs is None:
            sample = dataset.frame(rng, config)
        else:
            sample = dataset.pair(rng, config, pairs, step)
        sample["u"] = np.array(rng.random())
        sample["eps"] = rng.standard_normal((3, dataset.size, dataset.size), dtype=np.float32)
        samples.append(sample)
    return {name: torch.from_numpy(np.stack([s[name] for s in samples])) for name in samples[0]}


@dataclass(frozen=True, kw_only=True)
class BatchDataset(Dataset[dict[str, Tensor]]):
    """Item `step` is the batch of that step, see `draw_batch`.

    `rows` are the samples that this process computes. Workers may prepare the steps in any order.
    """

    dataset: ClipDataset
    pairs: PairConfig | None
    config: AugmentConfig
    batch_size: int
    seed: int
    num_steps: int
    rows: Sequence[int] | None = None

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return draw_batch(
            self.dataset,
            pairs=self.pairs,
            config=self.config,
            batch_size=self.batch_size,
            rows=self.rows,
            seed=self.seed,
            step=step,
        )

    def loader(
        self, start_step: int, num_workers: int, *, pin_memory: bool = False
    ) -> DataLoader[dict[str, Tensor]]:
        """The batches from step `start_step` on, in order."""
        return DataLoader(
            self,
            batch_size=None,
            sampler=range(start_step, self.num_steps),
            num_workers=num_workers,
            prefetch_factor=2 if num_workers else None,
            pin_memory=pin_memory,
        )
