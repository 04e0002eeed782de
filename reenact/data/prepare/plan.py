"""The plan: which clips go into which shard. It is made once, so that all processes agree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from reenact.data.prepare.layouts import ClipSource
from reenact.errors import UserError
from reenact.files import atomic_output
from reenact.locks import wait_for_lock


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """The name of a shard, its split and the names of its clips."""

    name: str
    split: str
    clips: tuple[str, ...]


def make_plan(
    out: Path, sources: Sequence[ClipSource], settings: dict[str, Any], clips_per_shard: int
) -> list[PlannedShard]:
    """The shards of plan.json in the folder `out`, and new ones for clips that are not in it yet.

    Processes that start together get the same plan. Raises UserError when `out` was begun with
    other settings, or cannot be written.
    """
    path = out / "plan.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out / "plan.lock"):
            planned = _read_plan(path, settings) if path.is_file() else []
            known = {name for shard in planned for name in shard.clips}
            new = [source for source in sources if source.name not in known]
            if new or not path.is_file():
                planned += list(_shards(new, planned, clips_per_shard))
                _write_plan(path, planned, settings)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{out}: cannot write there ({reason}), choose another `out`") from error
    return planned


def _shards(
    sources: Sequence[ClipSource], planned: Sequence[PlannedShard], size: int
) -> Iterator[PlannedShard]:
    for split, group in groupby(sources, lambda source: source.split):
        names = [source.name for source in group]
        first = sum(shard.split == split for shard in planned)
        for number, i in enumerate(range(0, len(names), size), first):
            clips = tuple(names[i : i + size])
            yield PlannedShard(name=f"{split}-{number:05d}", split=split, clips=clips)


def _read_plan(path: Path, settings: dict[str, Any]) -> list[PlannedShard]:
    try:
        stored = json.loads(path.read_text())
        begun = dict(stored["settings"])
        shards = [
            PlannedShard(name=s["name"], split=s["split"], clips=tuple(s["clips"]))
            for s in stored["shards"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error!r}), choose another `out`") from error
    settings = json.loads(json.dumps(settings))  # tuples become lists, as in the file
    for key in sorted(begun.keys() | settings.keys()):
        if begun.get(key) != settings.get(key):
            raise UserError(
                f"{path.parent}: was begun with {key} = {begun.get(key)}, now it is "
                f"{settings.get(key)}: set it back, or choose another `out`"
            )
    return shards


def _write_plan(path: Path, shards: Sequence[PlannedShard], settings: dict[str, Any]) -> None:
    content = {"settings": settings, "shards": [vars(shard) for shard in shards]}
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(content, indent=0))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        wait_for_lock(file)
        yield
