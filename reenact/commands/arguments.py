"""What several commands share: their parser, `--config`, `--set` and `--device`."""

import argparse
import json
import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from reenact.commands.animating import option_of
from reenact.commands.configs import find_config
from reenact.commands.known_keys import check_keys
from reenact.config import load_config
from reenact.errors import UsageError, UserError, say, suggestion

T = TypeVar("T")

MAX_MESSAGE = 300  # characters of a wrong command line that an error repeats
WIDTH, OPTION_WIDTH = 100, 33  # of the help, and of the column of options


class Help(argparse.HelpFormatter):
    """Help with one line for most options, where the terminal is wide enough.

    Paragraphs of a text are filled one by one; indented lines stay as they are.
    """

    def __init__(self, prog: str) -> None:
        width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
        super().__init__(prog, max_help_position=OPTION_WIDTH, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = [
            part if part.startswith(" ") else textwrap.fill(part, width)
            for part in text.strip().split("\n\n")
        ]
        return textwrap.indent("\n\n".join(paragraphs), indent)


class ShowHelp(argparse.Action):
    """`--help`, or `--help GROUP`."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> NoReturn:
        assert isinstance(parser, Parser)
        _, name, _ = given
        say(parser.help_of(name or None).rstrip())
        parser.exit()


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with short help, whose errors are one line each (`UsageError`).

    A command with groups of options has its most important options in the first group. Its help
    shows this group, and one line for each further one.
    """

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=Help,
            allow_abbrev=False,
            add_help=False,
        )
        self._help = self.add_argument(
            "-h",
            "--help",
            action=ShowHelp,
            nargs=0,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            help="show this help",
        )
        self._given: Sequence[str] = ()

    def format_help(self) -> str:
        """What `--help` prints."""
        return self.help_of(None)

    def help_of(self, name: str | None) -> str:
        """The help of one group of options, of "all", or (None) in short.

        A name that no group has is a usage error.
        """
        groups = self._groups()
        if not groups:
            return super().format_help()
        if name not in (None, "all", *groups):
            self.error(f"--help: there is no group {name!r}, choose {', '.join([*groups, 'all'])}")
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, [])
        first, *others = groups
        if name in (None, "all"):
            formatter.add_text(self.description)
        for title in groups if name == "all" else [name or first]:
            formatter.start_section(title)
            formatter.add_text(groups[title].description)
            formatter.add_arguments(groups[title]._group_actions)
            formatter.end_section()
        if name is None:
            formatter.start_section("more options")
            for title in others:
                formatter.add_argument(_line(f"--help {title}", groups[title].description))
            formatter.add_argument(_line("--help all", "all options"))
            formatter.end_section()
        return formatter.format_help()

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        self._given = args or ()
        if self._groups():
            self._help.nargs = "?"
        given, unknown = self.parse_known_args(args, namespace)
        if unknown:
            name, _, _ = unknown[0].partition("=")
            is_option = name.startswith("-")
            options = [option[2:] for option in self._option_string_actions if option[:2] == "--"]
            close = suggestion(name.lstrip("-"), options, prefix="--") if is_option else ""
            self.error(f"unknown {'option' if is_option else 'argument'} {name}{close}")
        return given

    def _groups(self) -> dict[str, Any]:
        """The groups of the command by their titles, without the two that every parser has."""
        return {str(group.title): group for group in self._action_groups[2:]}

    def error(self, message: str) -> NoReturn:
        """Raises UsageError. For a file name that starts with a dash it says how to write it."""
        if len(message) > MAX_MESSAGE:  # a number of 5,000 digits, for example
            message = f"{message[:MAX_MESSAGE]} ..."
        # Not Path.exists, which raises an error for a name that is too long.
        files = [text for text in self._given if text.startswith("-") and os.path.exists(text)]
        if files:
            message += f" (for the file {files[0]!r} write ./{files[0]})"
        if not message.endswith("?"):
            message += f"; {self.prog} --help{' all' if self._groups() else ''} shows the options"
        raise UsageError(message)


def _line(option: str, text: str | None) -> argparse.Action:
    """A line of the help."""
    return argparse.Action([option], dest=argparse.SUPPRESS, nargs=0, help=text)


def add_config(parser: Any, default: str | None = None, *, run: str = "infer") -> None:
    """`--config` and `--set`, for a parser or a group of it.

    default: the name of a config that ships; None if the user must give one. run: which config it
    is, for `check_keys`.
    """
    parser.set_defaults(config_of=run)
    shown = f"; default: {default}" if default else ""
    parser.add_argument(
        "--config",
        required=default is None,
        default=default,
        metavar="YAML",
        help=f"a file, or a name that `python -m reenact configs` lists{shown}",
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
