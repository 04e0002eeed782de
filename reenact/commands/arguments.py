"""What several commands share: their parser, `--config`, `--set` and `--device`."""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from reenact.commands.animating import option_of
from reenact.commands.configs import find_config
from reenact.commands.known_keys import check_keys
from reenact.config import load_config
from reenact.errors import UserError

T = TypeVar("T")

MAX_MESSAGE = 300  # characters
WIDTH, OPTION_WIDTH = 100, 33  # of the help, and of the column of options


class Help(argparse.RawDescriptionHelpFormatter):
    """Help with one line for most options, where the terminal is wide enough."""

    def __init__(self, prog: str) -> None:
        width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
        super().__init__(prog, max_help_position=OPTION_WIDTH, width=width)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that explains how to pass a file name that starts with a dash."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=Help,
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


def add_config(parser: Any, default: str | None = None, *, run: str = "infer") -> None:
    """`--config` and `--set`, for a parser or a group of it.

    default: the name of a config that ships; None if the user must give one. run: which config it
    is, for `check_keys`.
    """
    parser.set_defaults(config_of=run)
    shown = f"default: {default}" if default else "one of `diffusionact configs`, or a file"
    parser.add_argument(
        "--config",
        required=default is None,
        default=default,
        metavar="YAML",
        help=f"a file, or the name of a shipped config ({shown})",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override any value of the config, repeatable",
    )


def add_device(parser: Any) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def add_number(parser: argparse.ArgumentParser, name: str, default: int, text: str) -> None:
    """An option with a whole number; the help says its default."""
    parser.add_argument(name, type=int, default=default, help=f"{text} (default: %(default)s)")


def add_covered(parser: argparse.ArgumentParser) -> None:
    """`--covered` of synthetic people."""
    text = "share of the clips with a hood, head scarf, or hand or microphone before the face"
    parser.add_argument("--covered", type=float, default=0.0, help=f"{text} (default: 0)")


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
    arguments: argparse.Namespace, cls: type[T], options: Mapping[str, Any] | None = None
) -> T:
    """The config of `--config` with `options` and then `--set` laid over it.

    options: keys (with the names of their sections) and values of the command's own options; None
    was not given. Raises UserError; for a wrong value of an option it names the option.
    """
    options = {key: value for key, value in (options or {}).items() if value is not None}
    given = [f"{key}={_as_yaml(value)}" for key, value in options.items()]
    try:
        return load_config(find_config(arguments.config), cls, given + arguments.overrides)
    except UserError as error:
        for key in options:
            if str(error).startswith(before := f"--set {key}: ") and not any(
                override.startswith(f"{key}=") for override in arguments.overrides
            ):
                problem = str(error).removeprefix(before)
                raise UserError(f"{option_of(key)}: {problem}") from error
        raise


def _as_yaml(value: object) -> str:
    text = json.dumps(value)
    # YAML takes 1e-05 for text.
    return f"{value:.20f}" if isinstance(value, float) and "e" in text else text
