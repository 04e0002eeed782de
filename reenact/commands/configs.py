"""List the shipped configs, or copy them to a folder to change them.

A shipped config is named by its path without the suffix: embedded/infer, voxceleb256/align.
"""

import argparse
import shutil
from pathlib import Path

from reenact.errors import UserError, say

PACKAGE = Path(__file__).resolve().parents[1]


def configs_dir() -> Path:
    """The folder of the shipped configs: inside of the package, or beside it in a clone."""
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


def config_names() -> list[str]:
    """The names of all shipped configs, sorted."""
    folder = configs_dir()
    return sorted(str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The file of a config: `name` is a path, or the name of a shipped config.

    Raises UserError if it is neither.
    """
    path = Path(name)
    if path.exists():
        return path
    shipped = name.removeprefix("configs/").removesuffix(".yaml")
    if shipped in config_names():
        return configs_dir() / f"{shipped}.yaml"
    raise UserError(
        f"{name}: no such config file, and no shipped config has this name; "
        "`python -m reenact configs` lists them"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--copy",
        type=Path,
        metavar="DIR",
        help="copy all configs to a new folder (default: list them)",
    )


def run(arguments: argparse.Namespace) -> None:
    if arguments.copy is None:
        say("\n".join(config_names()))
        return
    target: Path = arguments.copy
    if target.exists():
        raise UserError(f"{target}: exists already, choose a new folder")
    try:
        shutil.copytree(configs_dir(), target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{target}: cannot copy the configs there ({reason})") from error
    say(f"{target}: {len(config_names())} configs")
