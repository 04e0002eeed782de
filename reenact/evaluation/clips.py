"""The clips of an evaluation. Synthetic clips are generated when they are missing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from reenact.data.clips import ClipSet, open_clips
from reenact.data.folder_clips import MANIFEST
from reenact.data.synthetic.clips import SyntheticConfig, cross_targets, person_seed
from reenact.errors import UserError, counted
from reenact.processes import ALONE, World, note, wait_until
from reenact.ranges import Checked, Count, CountOrZero, Range, Seed


@dataclass(frozen=True, kw_only=True)
class SyntheticClips(Checked):
    """Synthetic people, generated when they are missing, at the size of the model.

    frames: frames of each clip.
    cross: how many cross-reenactments are rendered as truth for each clip.
    seed: another seed gives other clips.
    num_workers: processes that generate.
    """

    frames: Annotated[int, Range(at_least=2)] = 16
    cross: CountOrZero = 8
    seed: Seed = 0
    num_workers: Count = 2


@dataclass(frozen=True, kw_only=True)
class ClipsConfig(Checked):
    """The clips: prepared ones (`reenact.data.prepare`) or synthetic ones.

    folder: where the clips are.
    split: the split that is measured.
    num_clips: only so many clips, the first ones, give sources; null = all.
    synthetic: null = the clips must be there; else `num_clips` clips are generated.
    """

    folder: Path
    split: str = "test"
    num_clips: Count | None = None
    synthetic: SyntheticClips | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.synthetic is not None and self.num_clips is None:
            raise ValueError("num_clips: synthetic clips need a number, for example 100")


def prepare_clips(config: ClipsConfig, image_size: int | None, world: World = ALONE) -> ClipSet:
    """Open the clips of the split. The main process generates synthetic clips that are missing.

    image_size: size of the model. Missing clips are generated at this size, and existing ones must
    have it. None: existing clips can have any size.

    Raises UserError when there are no clips, when they have another size, or when synthetic clips
    were generated with other settings.
    """
    if config.synthetic is not None:
        _check_settings(config)
        if not _is_complete(config):
            if world.is_main:
                _generate(config, image_size or 64)
            else:
                wait_until(lambda: _is_complete(config))
    clips = open_clips(config.folder, config.split)
    if image_size is not None and clips.size != image_size:
        raise UserError(
            f"{config.folder}: clips of {clips.size} pixels, but the weights make {image_size}; "
            "set data.folder to another folder"
        )
    return clips


def content_sha256(clips: ClipSet) -> str:
    """Changes with the manifest, and when the clips of a manifest are generated anew."""
    digest = hashlib.sha256(clips.fingerprint.encode())
    for clip in (clips.clips[0], clips.clips[-1]):
        digest.update(clip.frame(0).tobytes())
    return digest.hexdigest()


def _existing(config: ClipsConfig) -> ClipSet | None:
    if not (config.folder / MANIFEST).is_file():
        return None
    try:
        return open_clips(config.folder, config.split)
    except UserError as error:
        if "no clips of split" in str(error):
            return None
        raise


def _is_complete(config: ClipsConfig) -> bool:
    clips = _existing(config)
    return clips is not None and len(clips) >= (config.num_clips or 0)


def _check_settings(config: ClipsConfig) -> None:
    """Compare the clips that are there with the settings. Raises UserError."""
    clips = _existing(config)
    wanted = config.synthetic
    if clips is None or wanted is None:
        return
    settings = _generator_settings(config, clips.size)
    for i, clip in enumerate(clips.clips[: config.num_clips]):
        values = {
            "frames": (clip.num_frames, wanted.frames),
            "seed": (clip.person, str(person_seed(settings, i))),
            "cross": (len(clip.cross), len(cross_targets(settings, i))),
        }
        for name, (found, expected) in values.items():
            if found != expected:
                shown = "another seed" if name == "seed" else f"{name} {found}"
                raise UserError(
                    f"{config.folder}: {clip.name} was generated with {shown}, the config asks "
                    f"for {name} {getattr(wanted, name)}: set data.folder to another folder, or "
                    "delete this one"
                )


def _generator_settings(config: ClipsConfig, size: int) -> SyntheticConfig:
    assert config.synthetic is not None
    assert config.num_clips is not None
    return SyntheticConfig(
        out=config.folder,
        clips=config.num_clips,
        frames=config.synthetic.frames,
        size=size,
        split=config.split,
        seed=config.synthetic.seed,
        workers=config.synthetic.num_workers,
        cross=config.synthetic.cross,
        layers=True,
    )


def _generate(config: ClipsConfig, size: int) -> None:
    # Imported late: compiles the renderer.
    from reenact.data.synthetic.generate import generate

    assert config.num_clips is not None
    note(f"generating {counted(config.num_clips, f'{config.split} clip')} in {config.folder}")
    try:
        generate(_generator_settings(config, size), progress=True)
    except ValueError as error:
        raise UserError(f"{config.folder}: {error}") from error
    except OSError as error:
        raise UserError(f"{config.folder}: cannot write ({error.strerror or error})") from error
