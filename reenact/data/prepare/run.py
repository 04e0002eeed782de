"""The preparation of raw clips: shard by shard, clip by clip, then the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from tqdm import tqdm

from reenact.config import to_dict
from reenact.data.manifest import ClipRow, write_manifest
from reenact.data.prepare.layouts import ClipSource, find_sources
from reenact.data.prepare.plan import PlannedShard, make_plan
from reenact.data.prepare.run_config import PrepareRun
from reenact.data.prepare.tracking import SUFFIXES, ClipTracker
from reenact.data.shard_clips import MANIFEST
from reenact.data.shards import BadClip, ShardWriter, is_closed, journal_path, read_journal
from reenact.errors import UserError
from reenact.files import atomic_output
from reenact.processes import World


@dataclass(kw_only=True)
class PreparedPart:
    """The work of one process.

    num_dropped: frames without a face, which were left out.
    stage_shares: how the time was spent, in words.
    missing_shards: shards, of any process, that are not complete yet.
    manifest: its path, when no shard is missing.
    """

    num_clips: int = 0
    num_frames: int = 0
    num_dropped: int = 0
    bad: list[BadClip] = field(default_factory=list)
    seconds: float = 0.0
    stage_shares: str = ""
    missing_shards: int = 0
    manifest: Path | None = None

    def add(self, clip: ClipRow | BadClip) -> None:
        if isinstance(clip, BadClip):
            self.bad.append(clip)
        else:
            self.num_clips += 1
            self.num_frames += len(clip.frame_sizes)
            self.num_dropped += clip.num_dropped


def prepare(
    run: PrepareRun, device: torch.device, world: World, progress: bool = True
) -> PreparedPart:
    """Write the missing shards of this process, and the manifest when all shards are there.

    A bad clip is noted and left out. Raises UserError for faults of the run as a whole.
    """
    sources = {source.name: source for source in find_sources(run.source)}
    plan = make_plan(run.out, sorted(sources.values()), _settings(run), run.store.clips_per_shard)
    todo = [shard for shard in world.part(plan) if not is_closed(run.out, shard.name)]
    part, start = PreparedPart(), perf_counter()
    if todo:
        tracker = ClipTracker(run, device)
        with tqdm(
            total=sum(len(shard.clips) for shard in todo),
            unit="clip",
            mininterval=1.0,
            disable=not progress,
            position=world.rank,
            desc=f"{world.rank}/{world.size}" if world.size > 1 else None,
        ) as bar:
            for shard in todo:
                _write_shard(run, shard, sources, tracker, part, bar)
        part.stage_shares = tracker.stopwatch.shares()
    part.missing_shards = sum(not is_closed(run.out, shard.name) for shard in plan)
    if not part.missing_shards:
        part.manifest = merge(run, plan)
    part.seconds = perf_counter() - start
    return part


def merge(run: PrepareRun, plan: Sequence[PlannedShard]) -> Path:
    """Write manifest.parquet and bad.jsonl from the journals of all shards."""
    journals = [read_journal(journal_path(run.out, shard.name)) for shard in plan]
    rows = [row for journal in journals for row in journal.rows]
    bad = [clip for journal in journals for clip in journal.bad]
    if not rows:
        reason = f", the first because: {bad[0].reason}" if bad else ""
        raise UserError(f"{run.out}: no usable clip, {len(bad)} bad{reason}")
    with atomic_output(run.out / "bad.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(asdict(clip)) + "\n" for clip in bad))
    path = run.out / MANIFEST
    write_manifest(path, rows, size=run.size, face=run.face.name)
    return path


def _write_shard(
    run: PrepareRun,
    shard: PlannedShard,
    sources: Mapping[str, ClipSource],
    tracker: ClipTracker,
    part: PreparedPart,
    bar: Any,
) -> None:
    with ShardWriter(run.out, shard.name) as writer:
        if is_closed(run.out, shard.name):  # another process closed it a moment ago
            return
        before = writer.journal.done
        for name in shard.clips:
            if name not in before:
                clip = _write_clip(run, shard, name, sources.get(name), tracker, writer)
                part.add(clip)
                if isinstance(clip, BadClip):
                    bar.write(f"bad clip {clip.name}: {clip.reason}")
            seconds = max(bar.format_dict["elapsed"], 1e-9)
            rate = (part.num_frames + part.num_dropped) / seconds
            bar.set_postfix_str(f"{rate:.1f} frames/s, {len(part.bad)} bad", refresh=False)
            bar.update()
        writer.close()


def _write_clip(
    run: PrepareRun,
    shard: PlannedShard,
    name: str,
    source: ClipSource | None,
    tracker: ClipTracker,
    writer: ShardWriter,
) -> ClipRow | BadClip:
    place = "" if source is None else source.path.relative_to(run.source.root).as_posix()
    try:
        if source is None:
            raise UserError("the raw clip was there when the run began, and now it is gone")
        clip = tracker.prepare(source)
    # Damaged pictures lead to these errors. Any other error (a full disk, no memory) ends the run,
    # which can be started again.
    except (UserError, ValueError, ArithmeticError, torch.linalg.LinAlgError) as error:
        bad = BadClip(name=name, source=place, reason=_line(error))
        writer.leave_out(bad)
        return bad
    assert source is not None
    row = ClipRow(
        name=name,
        person=source.person,
        split=shard.split,
        fps=clip.fps,
        num_dropped=clip.num_dropped,
        source=place,
    )
    with tracker.stopwatch.timed("write"):
        return writer.add(row, clip.npz, clip.frames, SUFFIXES[run.store.format])


def _settings(run: PrepareRun) -> dict[str, Any]:
    """The settings that must stay the same when the run is started again.

    Paths may change, and so may sizes of batches in memory.
    """
    config = to_dict(run)
    settings: dict[str, Any] = {
        "size": run.size,
        "stack": run.face.name,
    }
    sections = {
        "source": {"root", "split_list"},
        "clip": set(),
        "store": set(),
        "masks": {"parsing"},
    }
    for section, places in sections.items():
        settings |= {f"{section}.{k}": v for k, v in config[section].items() if k not in places}
    stack = config["face"].get(run.face.name) or {}
    settings |= {f"{run.face.name}.{k}": v for k, v in stack.items() if k not in ("files", "chunk")}
    return settings


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
