"""The motions that ship with the package: "@smile" and others. Nothing heavy is imported."""

from pathlib import Path

from reenact.errors import UserError

SUFFIX = ".motion.safetensors"
"""The ending of a motion file."""

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "motions"


def is_shipped(name: object) -> bool:
    """Whether this is the name of a shipped motion, right or wrong, and not a path."""
    return str(name).startswith("@")


def shipped_names() -> list[str]:
    """The names of the shipped motions, without the @."""
    return sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))


def shipped_motion(name: str) -> Path:
    """The file of "@smile". Raises UserError for an unknown name."""
    names = shipped_names()
    if name[1:] not in names:
        raise UserError(f"{name}: no shipped motion has this name; there are @{', @'.join(names)}")
    return FOLDER / f"{name[1:]}{SUFFIX}"
