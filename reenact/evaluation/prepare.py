"""The clips of an evaluation, generated where they are synthetic and missing."""

from reenact.data.clips import ClipSet, open_clips
from reenact.data.folder_clips import MANIFEST
from reenact.errors import UserError
from reenact.evaluation.run_config import ClipsConfig
from reenact.processes import ALONE, World, say, wait_until


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
