"""The error for an unusable checkpoint, and a check before a checkpoint is opened."""

from pathlib import Path


class CheckpointError(ValueError):
    """A checkpoint is missing, unreadable or of another architecture; the message is one line."""


def existing_file(path: str | Path) -> Path:
    """`path` as a Path. Raises CheckpointError unless it is a regular file that is not empty."""
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder, give the path of a file")
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    if not path.is_file():
        raise CheckpointError(f"{path}: is not a regular file, copy it to one first")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty, copy or download it again")
    return path


def one_line(error: Exception) -> str:
    """The message of a library's error, short and without line breaks."""
    return " ".join(str(error).split())[:200] or type(error).__name__
