"""The clips of an evaluation. Synthetic clips are generated when they are missing."""

from dataclasses import dataclass
from pathlib import Path

from reenact.data.clips import ClipSet, open_clips
from reenact.data.folder_clips import MANIFEST
from reenact.errors import UserError
from reenact.processes import ALONE, World, say, wait_until


@dataclass(frozen=True, kw_only=True)
class SyntheticClips:
    """Synthetic people, generated when they are missing, at the size of the model.

    frames: frames of each clip. cross: how many cross-reenactments are rendered as truth for each
    clip. seed: another seed gives other clips. num_workers: processes that generate.
    """

    frames: int = 16
    cross: int = 8
    seed: int = 0
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise ValueError(f"num_workers: must be at least 1, got {self.num_workers}")
        if self.frames < 2:
            raise ValueError(f"frames: a self pair needs at least 2, got {self.frames}")
        if self.cross < 0:
            raise ValueError(f"cross: must not be negative, got {self.cross}")


@dataclass(frozen=True, kw_only=True)
class ClipsConfig:
    """The clips: prepared ones (`reenact.data.prepare`) or synthetic ones.

    folder: where the clips are. num_clips: only so many clips, the first ones, give sources (null:
    all). synthetic: null = the clips must be there; else `num_clips` clips are generated.
    """

    folder: Path
    split: str = "test"
    num_clips: int | None = None
    synthetic: SyntheticClips | None = None

    def __post_init__(self) -> None:
        if self.num_clips is not None and self.num_clips < 1:
            raise ValueError(f"num_clips: must be at least 1, got {self.num_clips}")
        if self.synthetic is not None and self.num_clips is None:
            raise ValueError("num_clips: synthetic clips need a number, for example 100")


def prepare_clips(config: ClipsConfig, image_size: int | None, world: World = ALONE) -> ClipSet:
    """The clips of the split; those that are synthetic and missing are generated, by the first
    process, at `image_size` (any size of what is there serves when None).

    Raises UserError when there are no clips, or clips of another size.
    """
    if config.synthetic is not None and not _is_complete(config):
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


def _is_complete(config: ClipsConfig) -> bool:
    if not (config.folder / MANIFEST).is_file():
        return False
    try:
        return len(open_clips(config.folder, config.split)) >= (config.num_clips or 0)
    except UserError as error:
        if "no clips of split" in str(error):
            return False
        raise


def _generate(config: ClipsConfig, size: int) -> None:
    from reenact.data.synthetic.clips import SyntheticConfig
    from reenact.data.synthetic.generate import generate

    assert config.synthetic is not None
    assert config.num_clips is not None
    say(f"generating {config.num_clips} {config.split} clips in {config.folder}")
    try:
        settings = SyntheticConfig(
            out=config.folder,
            clips=config.num_clips,
            frames=config.synthetic.frames,
            size=size,
            split=config.split,
            seed=config.synthetic.seed,
            workers=config.synthetic.num_workers,
            cross=config.synthetic.cross,
        )
        generate(settings, progress=True)
    except ValueError as error:
        raise UserError(f"{config.folder}: {error}") from error
    except OSError as error:
        raise UserError(f"{config.folder}: cannot write ({error.strerror})") from error
