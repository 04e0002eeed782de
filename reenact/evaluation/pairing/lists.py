"""Pair lists as CSV: the committed lists, lists of other projects, and lists drawn by a seed.

A row names a source video and a driving video. A name is a clip, the path that the clip was
prepared from (as in the lists of FOMM and DaGAN), or a person. For a person, the seed chooses one
clip.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from reenact.data.clips import ClipSet
from reenact.data.prepare.layouts import clip_name
from reenact.errors import UserError, counted
from reenact.files import check_input_file
from reenact.processes import warn

LISTS_DIR = Path(__file__).parent / "lists"
COMMITTED = {"voxceleb1": "voxceleb1_cross.csv", "voxceleb2": "voxceleb2_cross.csv"}
NUM_COMMITTED, COMMITTED_SEED = 35, 0
VOXCELEB1_TEST = tuple(f"id{number}" for number in range(10270, 10310))
_SHOWN = 5
_LAYOUT_FOLDERS = ("/", "train", "test", "dev", "mp4", "frames_cropped")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a list.

    source, driving: the names in the list. frame: the frame of the source. driving_frame: the only
    target frame; None = the whole video.
    """

    source: str
    driving: str
    frame: int = 0
    driving_frame: int | None = None


def voxceleb2_test() -> tuple[str, ...]:
    """The 118 people of VoxCeleb2's test split."""
    return tuple((LISTS_DIR / "voxceleb2_test_ids.txt").read_text().split())


def read_rows(name: str) -> list[Row]:
    """The rows of a committed list, or of the CSV file `name`.

    The columns source and driving must be there. frame and driving_frame can be there. Other
    columns are ignored. Raises UserError.
    """
    path = LISTS_DIR / COMMITTED[name] if name in COMMITTED else check_input_file(name)
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
        records = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not a CSV file of text ({error})") from None
    columns = {(column or "").strip().lower() for column in reader.fieldnames or ()}
    if not {"source", "driving"} <= columns:
        raise UserError(
            f"{path}: needs the columns source and driving, has {', '.join(sorted(columns))}"
        )
    rows = []
    for number, record in enumerate(records, 2):
        cells = {str(k).strip().lower(): str(v or "").strip() for k, v in record.items()}
        try:
            driving_frame = cells.get("driving_frame")
            rows.append(
                Row(
                    source=cells["source"],
                    driving=cells["driving"],
                    frame=int(cells.get("frame") or 0),
                    driving_frame=int(driving_frame) if driving_frame else None,
                )
            )
        except ValueError as error:
            raise UserError(f"{path}: line {number}: a frame must be a number ({error})") from None
    if not rows:
        raise UserError(f"{path}: the list has no rows")
    return rows


def bind(rows: Sequence[Row], clips: ClipSet, seed: int) -> list[Row]:
    """Replace the names of the rows by the names of existing clips.

    The result is the same for the same clips and seed. Rows with a name that is not here are left
    out with a warning. Raises UserError when no row is left, and when a frame lies beyond its clip.
    """
    places = _places(clips)
    bound, unknown = [], []
    for i, row in enumerate(rows):
        found = []
        for side, text in enumerate((row.source, row.driving)):
            names = next((places[t] for t in _readings(text) if t in places), [])
            if not names:
                unknown.append(text)
            else:
                rng = np.random.default_rng([seed, i, side])
                found.append(names[0] if len(names) == 1 else names[rng.integers(len(names))])
        if len(found) == 2:
            bound.append(replace(row, source=found[0], driving=found[1]))
    if unknown:
        names = list(dict.fromkeys(unknown))
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        line = f"pair list: {len(rows) - len(bound)} of {len(rows)} rows are left out"
        line += f", not in {clips.root}: {shown}"
        if not bound:
            raise UserError(f"{line}; set pairs.cross to drawn and pairs.list to null")
        warn(line)
    for row in bound:
        for name, frame in ((row.source, row.frame), (row.driving, row.driving_frame or 0)):
            count = clips.by_name[name].num_frames
            if not 0 <= frame < count:
                has = counted(count, "frame")
                raise UserError(f"pair list: {name} has {has}, the list asks for frame {frame}")
    return bound


def drawn_rows(people: Sequence[tuple[str, str]], count: int, seed: int) -> list[Row]:
    """`count` ordered pairs of clips of two different people, or all when there are fewer.

    people: (person, clip). Raises UserError with fewer than two people.
    """
    clips: dict[str, list[str]] = {}
    for person, clip in sorted(people):
        clips.setdefault(person, []).append(clip)
    rng = np.random.default_rng(seed)
    return [
        Row(
            source=clips[source][rng.integers(len(clips[source]))],
            driving=clips[driving][rng.integers(len(clips[driving]))],
        )
        for source, driving in drawn_people(list(clips), count, seed)
    ]


def drawn_people(people: Sequence[str], count: int, seed: int) -> list[tuple[str, str]]:
    """`count` different ordered pairs of two people, sorted, or all when there are fewer."""
    if len(people) < 2:
        raise UserError("cross pairs need clips of at least two people; set num_cross to 0")
    rng = np.random.default_rng(seed)
    drawn: set[tuple[str, str]] = set()
    while len(drawn) < min(count, len(people) * (len(people) - 1)):
        first, offset = int(rng.integers(len(people))), int(rng.integers(1, len(people)))
        drawn.add((people[first], people[(first + offset) % len(people)]))
    return sorted(drawn)


def people_csv(people: Sequence[str]) -> str:
    """The CSV text of a list of pairs of people. The committed lists were made by it."""
    drawn = drawn_people(people, NUM_COMMITTED, COMMITTED_SEED)
    return "".join(f"{source},{driving}\n" for source, driving in [("source", "driving"), *drawn])


def _places(clips: ClipSet) -> dict[str, list[str]]:
    """The clips that each name stands for: a clip's name, its normal form, or its person."""
    places: dict[str, list[str]] = {}
    for clip in clips.clips:
        for text in dict.fromkeys((clip.name, _normal(clip.name), clip.person)):
            places.setdefault(text, []).append(clip.name)
    return {text: sorted(names) for text, names in places.items()}


def _readings(text: str) -> Iterator[str]:
    """The possible meanings of a cell: itself, or its normal form without leading folders."""
    yield text
    parts = _normal(text).split("#")
    for start in range(len(parts)):
        yield "#".join(parts[start:])
        yield clip_name("#".join(parts[start:]))


def _normal(text: str) -> str:
    """The name that preparation gives to the clip of a path: test/id1/x/1.mp4 becomes id1#x#1."""
    path = PurePosixPath(text.replace("\\", "/"))
    parts = [part for part in path.parts if part not in _LAYOUT_FOLDERS]
    if parts and re.fullmatch(r"\.(mp4|m4v|avi|mov|mkv|webm|png|jpe?g)", path.suffix.lower()):
        parts[-1] = PurePosixPath(parts[-1]).stem
    return re.sub(r"[/#]+", "#", "#".join(parts))
