"""What several commands share: their parser, `--config`, `--set` and `--device`."""

import argparse
import os
from collections.abc import Sequence
from typing import NoReturn, TypeVar

from reenact.commands.configs import find_config
from reenact.commands.known_keys import check_keys
from reenact.config import load_config

T = TypeVar("T")

MAX_MESSAGE = 300  # characters


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that explains how to pass a file name that starts with a dash."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._given: Sequence[str] = ()

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        self._given = args or ()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if len(message) > MAX_MESSAGE:  # a number of 5,000 digits, for example
            message = f"{message[:MAX_MESSAGE]} ..."
        # Not Path.exists, which raises an error for a name that is too long.
        files = [text for text in self._given if text.startswith("-") and os.path.exists(text)]
        if files:
            message += f" (for the file {files[0]!r} write ./{files[0]})"
        super().error(message)


def add_config(
    parser: argparse.ArgumentParser, default: str | None = None, *, run: str = "infer"
) -> None:
    """`--config` and `--set`.

    default: name of a config that ships, None if one must be given. run: which config it is, for
    `check_keys`.
    """
    parser.set_defaults(config_of=run)
    shown = f"default: {default}" if default else "one of `diffusionact configs`, or a file"
    parser.add_argument(
        "--config",
        required=default is None,
        default=default,
        metavar="YAML",
        help=f"settings of the run: a file, or the name of a shipped config ({shown})",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a value of the config, e.g. --set optimizer.lr=0.0002 (repeatable)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def add_number(parser: argparse.ArgumentParser, name: str, default: int, text: str) -> None:
    """An option with a whole number; the help says its default."""
    parser.add_argument(name, type=int, default=default, help=f"{text} (default: %(default)s)")


def add_split(parser: argparse.ArgumentParser) -> None:
    """`--split` of synthetic people."""
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="train",
        help="split, each with people of its own (default: %(default)s)",
    )


def check_config(arguments: argparse.Namespace) -> None:
    """Refuse a mistyped config, key or choice before the command imports torch.

    Raises UserError. A command without `--config` passes.
    """
    if hasattr(arguments, "config_of"):
        check_keys(arguments.config_of, find_config(arguments.config), arguments.overrides)


def read_config(
    arguments: argparse.Namespace, cls: type[T], options: dict[str, object] | None = None
) -> T:
    """The config of `--config` with `options` and then `--set` laid over it.

    options: dotted keys and values of the command's own options; None was not given.
    """
    given = [f"{key}={value}" for key, value in (options or {}).items() if value is not None]
    return load_config(find_config(arguments.config), cls, given + arguments.overrides)
