"""The error for an unusable checkpoint, and a check before a checkpoint is opened."""

from pathlib import Path


class CheckpointError(ValueError):
    """A checkpoint is missing, unreadable or of another architecture; the message is one line."""


def existing_file(path: str | Path) -> Path:
    """`path` as a Path. Raises CheckpointError when there is no such file, or an empty one."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty")
    return path


def one_line(error: Exception) -> str:
    """The message of a library's error, short and without line breaks."""
    return " ".join(str(error).split())[:200] or type(error).__name__
