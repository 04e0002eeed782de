"""Strict YAML into frozen dataclasses: every mistake is one line that names file, key and cure."""

import dataclasses
import math
import re
import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

import yaml

from reenact.errors import UserError, suggestion
from reenact.files import check_input_file
from reenact.ranges import range_problem

T = TypeVar("T")

MAX_INTEGER_BITS = 1000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SIMPLE_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "text"}


def load_config(path: str | Path, cls: type[T], overrides: Sequence[str] = ()) -> T:
    """Read one YAML file into the dataclass `cls`.

    overrides: `section.key=value` texts of the command line; values are read as YAML and go
    through the same checks. Raises UserError with one line for whatever is wrong.
    """
    values = _read_yaml(Path(path))
    overridden = dict(_apply_override(values, override) for override in overrides)
    return _build(cls, values, _Place(str(path), (), overridden))


def from_dict(cls: type[T], values: Mapping[str, Any], where: str = "config") -> T:
    """Build the dataclass `cls` from plain values; `where` opens every error line."""
    return _build(cls, values, _Place(where, (), {}))


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain dicts, lists, numbers and texts; `from_dict` brings it back equal."""
    plain = _plain(config)
    if not isinstance(plain, dict):
        raise TypeError(f"expected a dataclass, got {type(config).__name__}")
    return plain


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where in which file a value stands, for the error lines.

    overridden: the keys that come from `--set`, and the keys that the user typed for them. They
        differ where `a.b.c=1` also made the section `a.b`, which the file does not have.
    """

    file: str
    keys: tuple[str, ...]
    overridden: Mapping[tuple[str, ...], tuple[str, ...]]

    def child(self, key: str) -> "_Place":
        return dataclasses.replace(self, keys=(*self.keys, key))

    def error(self, message: str, *below: str) -> UserError:
        """An error line of this section; `below` are the keys below it that are to blame."""
        keys = (*self.keys, *below)
        for made, typed in self.overridden.items():
            if keys[: len(made)] == made:
                message = message.removeprefix(f"{keys[-1]}: ")
                name = ".".join(typed if len(typed) > len(keys) else keys).replace(".[", "[")
                return UserError(f"--set {name}: {message}")
        section = ".".join(self.keys)
        return UserError(
            f"{self.file}: {section}: {message}" if section else f"{self.file}: {message}"
        )


def _build(cls: type[T], values: Any, place: _Place) -> T:
    if values is None:  # `section:` with nothing below it
        values = {}
    if not isinstance(values, Mapping):
        raise place.error(f"expected keys and values, got {_shown(values)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise place.error(
                f"unknown key {key!r}{suggestion(str(key), map(str, fields))}", str(key)
            )
    hints = typing.get_type_hints(cls, include_extras=True)
    arguments = {}
    for name, field in fields.items():
        if name in values:
            value = _convert(values[name], hints[name], place.child(name))
            if (problem := range_problem(value, hints[name])) is not None:
                raise place.error(f"{name}: {problem}", name)
            arguments[name] = value
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise place.error(f"missing required key {name!r}")
    try:
        return cls(**arguments)
    except ValueError as error:  # from the dataclass's own __post_init__
        named = str(error).split(":")[0]
        raise place.error(str(error), *([named] if named in fields else [])) from error


def _convert(value: Any, kind: Any, place: _Place) -> Any:
    kind = _bare(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast(type, kind), value, place)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, place)
    if origin is Literal:
        if any(value == choice and type(value) is type(choice) for choice in arguments):
            return value
        raise _mismatch(value, kind, place)
    if origin in (tuple, list):
        return _convert_sequence(value, kind, place)
    if origin is dict:
        if not isinstance(value, dict):
            raise _mismatch(value, kind, place)
        key_kind, value_kind = arguments
        return {
            _convert(k, key_kind, place): _convert(v, value_kind, place.child(str(k)))
            for k, v in value.items()
        }
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise place.error(f"{place.keys[-1]}: is too large for a number") from None
    if kind is Any or (type(value) is kind and kind in _SIMPLE_NAMES):
        return value
    raise _mismatch(value, kind, place)


def _bare(kind: Any) -> Any:
    """The type without the notes of `Annotated`."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _convert_union(value: Any, kinds: tuple[Any, ...], place: _Place) -> Any:
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return _convert(value, kinds[0], place)
    for kind in kinds:
        try:
            return _convert(value, kind, place)
        except UserError:
            continue
    raise _mismatch(value, Union[kinds], place)  # noqa: UP007


def _convert_sequence(value: Any, kind: Any, place: _Place) -> Any:
    origin, kinds = typing.get_origin(kind), typing.get_args(kind)
    if not isinstance(value, (list, tuple)):
        raise _mismatch(value, kind, place)
    if origin is list or kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _mismatch(value, kind, place)
    pairs = zip(value, kinds, strict=True)
    return origin(_convert(v, k, place.child(f"[{i}]")) for i, (v, k) in enumerate(pairs))


def _mismatch(value: Any, kind: Any, place: _Place) -> UserError:
    """The error line for a value of the wrong type, with the usual cause where it is known."""
    split = len(place.keys) - 1
    while place.keys[split].startswith("["):  # an item of a list is named with its list
        split -= 1
    name = "".join(place.keys[split:])
    message = f"{name!r} must be {_named(kind)}, got {_shown(value)}"
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        kinds = tuple(_bare(k) for k in (kind, *typing.get_args(kind)))
        if not math.isfinite(float(value)):
            message += ": it is too large for a number"
        elif "e" not in value.lower():
            message += ": take it out of the quotes"
        elif float in kinds:
            message += f" (YAML reads {value} as text: write {_yaml_number(value)})"
        elif int in kinds:
            message += f" (YAML reads {value} as text: write {float(value):.0f})"
    elif isinstance(value, str) and typing.get_origin(kind) is Literal:
        message += suggestion(str(value), map(str, typing.get_args(kind)))
    elif isinstance(value, (bool, int, float)) and kind is str:
        message += ": put it in quotes"
    return dataclasses.replace(place, keys=place.keys[:split]).error(message, *place.keys[split:])


def _named(kind: Any) -> str:
    """A type in words for the error lines."""
    kind = _bare(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(_shown(choice) for choice in arguments)}"
    if origin in (Union, types.UnionType):
        return " or ".join(_named(kind) for kind in arguments)
    if origin is list or (origin is tuple and arguments[-1] is Ellipsis):
        return f"a list [...] where each item is {_named(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)}: {', '.join(_named(kind) for kind in arguments)}"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "keys and values"
    if kind is Path:
        return "a path"
    return "nothing" if kind is type(None) else _SIMPLE_NAMES.get(kind, str(kind))


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    shown = reprlib.repr(value)  # never long, however large the value is
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _yaml_number(text: str) -> str:
    """The spelling of a number that YAML 1.1 reads as one: a dot, and a sign in the exponent."""
    mantissa, _, exponent = text.lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    if not exponent:
        return text
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, tags, numbers without end, and aliases.

    A few aliases can blow up a small file. A tag such as !!int fails inside of PyYAML if its text
    is no integer.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        tag = getattr(self.peek_event(), "tag", None)
        if tag is not None:
            raise yaml.MarkedYAMLError(
                problem=f"tags ({tag[:60]}) are not read, leave it out",
                problem_mark=self.peek_event().start_mark,
            )
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(
                problem=f"aliases (*{event.anchor}) are not read, write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:
        value = super().construct_yaml_int(node)
        if value.bit_length() > MAX_INTEGER_BITS:
            raise yaml.MarkedYAMLError(
                problem="it is too large for a number", problem_mark=node.start_mark
            )
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # no key of ours; the base class or the dataclass check refuses it
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key_node.value!r} is given twice",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


# PyYAML finds the constructors in a table, so that overriding the method alone does nothing.
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)


def _read_yaml(path: Path) -> dict[str, Any]:
    text_path = check_input_file(path)
    try:
        values = yaml.load(text_path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"{path}: {line}{error.problem or 'malformed YAML'}") from error
    except RecursionError as error:
        raise UserError(f"{path}: the values are nested too deeply, write them flatter") from error
    except (yaml.YAMLError, ValueError, OverflowError, OSError) as error:
        raise UserError(f"{path}: is not a YAML text file ({error})") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys and values, got {_shown(values)}")
    return values


def _apply_override(
    values: dict[str, Any], override: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write one `section.key=value` into the nested dict.

    Returns the keys of what is new, and all keys. What is new is the outermost section that was not
    there, or the value alone.
    """
    name, equals, text = override.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise UserError(f"--set {override}: write it as section.key=value")
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else None
        shown = override if len(override) <= 60 else override[:57] + "..."
        raise UserError(
            f"--set {shown}: the value is not valid YAML{f' ({problem})' if problem else ''}"
        ) from error
    section, made = values, keys
    for i, key in enumerate(keys[:-1]):
        if section.get(key) is None:
            section[key] = {}
            made = min(made, keys[: i + 1])  # the shorter one: both begin alike
        section = section[key]
        if not isinstance(section, dict):
            raise UserError(f"--set {override}: {key!r} is a value, not a section")
    section[keys[-1]] = value
    return made, keys
