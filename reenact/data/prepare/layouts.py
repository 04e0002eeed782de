"""The folder layouts in which VoxCeleb is found: which clips there are, their persons and splits.

flat: `{train,val,test}/id10283#video#start#end.mp4`, or a folder of pictures with such a name. The
    first-order motion model's script (video-preprocessing) writes it.
frames_cropped: `id10283/video/frames_cropped/*.png`. The scripts of HyperReenact and DiffusionAct
    write it.
release: `id10283/video/00001.mp4` with `txt/id10283/video/00001.txt`, the official release.

The last two may also lie below split folders (`dev`, `train`, `val`, `test`) and below `mp4`, where
the archives put them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from reenact.errors import UserError
from reenact.media.images import is_image_path
from reenact.processes import note
from reenact.ranges import Checked, Positive, Range

Layout = Literal["flat", "frames_cropped", "release"]
LAYOUTS: tuple[Layout, ...] = ("flat", "frames_cropped", "release")
SPLITS = {"train": "train", "dev": "train", "val": "val", "test": "test"}
"""The split that each split folder holds."""
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")
VOX1_TEST = range(10270, 10310)
"""VoxCeleb1's test identities id10270 to id10309."""
MAX_NAME = 80
"""With the number of a frame, a longer name would exceed the 100 characters of tar."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig(Checked):
    """Where raw clips lie and how they are split.

    root: folder of the raw data.
    layout: `flat`, `frames_cropped` or `release` (docs/voxceleb.md); auto takes the one it finds.
    split_list: a text file with lines like `id10283 test` for persons or clips. Persons that it
        does not name are `train`. Without a list the split folders decide; without split folders
        the test identities of VoxCeleb1 are `test`.
    val_persons: share of the training persons that become the split `val`, chosen by name. Above 0,
        and with two persons or more, both splits get at least one.
    picture_fps: frames a second of clips that are folders of pictures.
    boxes: whether the face boxes of `txt` show which person is meant. auto ignores them for square
        videos: those are face crops of the release, and the boxes belong to the uncropped video.
    """

    root: Path
    layout: Literal["auto", "flat", "frames_cropped", "release"] = "auto"
    split_list: Path | None = None
    val_persons: Annotated[float, Range(at_least=0, below=1)] = 0.0
    picture_fps: Positive = 25.0
    boxes: Literal["auto", "use", "ignore"] = "auto"


@dataclass(frozen=True, kw_only=True, order=True)
class ClipSource:
    """One raw clip.

    name: unique; letters, digits and `#=+_-` only.
    path: a video file, or a folder of pictures.
    boxes: the txt file with its face boxes, if there is one.
    """

    split: str
    name: str
    person: str
    path: Path
    boxes: Path | None = None


def find_sources(config: SourceConfig) -> list[ClipSource]:
    """All clips, sorted by split and name.

    Raises UserError when there is none, or when two have the same name.
    """
    root = config.root
    if not root.is_dir():
        raise UserError(f"{root}: no such folder, set source.root to the raw data")
    layouts = LAYOUTS if config.layout == "auto" else (config.layout,)
    for layout in layouts:
        found = list(_FINDERS[layout](root))
        if found:
            break
    else:
        raise UserError(
            f"{root}: no clips in layout {' or '.join(layouts)}: expected train/NAME.mp4, "
            "PERSON/VIDEO/frames_cropped/*.png or PERSON/VIDEO/NAME.mp4"
        )
    split_of = _splitter(config)
    splits = [split_of(raw) for raw in found]
    training = {raw.person for raw, split in zip(found, splits, strict=True) if split == "train"}
    val_persons = _choose_val_persons(training, config.val_persons)
    sources = sorted(
        ClipSource(
            split="val" if split == "train" and raw.person in val_persons else split,
            name=clip_name(raw.name),
            person=raw.person,
            path=raw.path,
            boxes=raw.boxes,
        )
        for raw, split in zip(found, splits, strict=True)
    )
    by_name: dict[str, ClipSource] = {}
    for source in sources:
        other = by_name.setdefault(source.name, source)
        if other is not source:
            raise UserError(
                f"{source.path}: has the same clip name as {other.path}, rename one of the two"
            )
    return sources


def clip_name(raw: str) -> str:
    """`raw` as the name of a clip.

    Every character that is not one of `A-Za-z0-9#=+_-` becomes an underscore. A name longer than
    MAX_NAME is cut and ends in a hash.
    """
    name = re.sub(r"[^A-Za-z0-9#=+_-]", "_", raw)
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 9]}_{hashlib.sha256(raw.encode()).hexdigest()[:8]}"
    return name


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """A clip as found. `folder_split` is the split of its split folder, if it lies in one."""

    name: str
    person: str
    path: Path
    folder_split: str | None
    boxes: Path | None = None


def _flat(root: Path) -> Iterator[_Raw]:
    for folder, split in _split_folders(root):
        for path in _children(folder):
            name = path.name
            is_video = path.suffix.lower() in VIDEO_SUFFIXES
            if path.is_dir():
                if not any(is_image_path(child) for child in path.iterdir()):
                    continue
            elif not is_video:
                continue
            name = path.stem if is_video else name
            yield _Raw(name=name, person=name.split("#")[0], path=path, folder_split=split)


def _frames_cropped(root: Path) -> Iterator[_Raw]:
    for person, split, _ in _persons(root):
        for video in _children(person):
            frames = video / "frames_cropped"
            if frames.is_dir():
                name = f"{person.name}#{video.name}"
                yield _Raw(name=name, person=person.name, path=frames, folder_split=split)


def _release(root: Path) -> Iterator[_Raw]:
    for person, split, text_roots in _persons(root):
        for video in _children(person):
            if not video.is_dir():
                continue
            for path in _children(video):
                if path.suffix.lower() not in VIDEO_SUFFIXES:
                    continue
                texts = (r / person.name / video.name / f"{path.stem}.txt" for r in text_roots)
                yield _Raw(
                    name=f"{person.name}#{video.name}#{path.stem}",
                    person=person.name,
                    path=path,
                    folder_split=split,
                    boxes=next((text for text in texts if text.is_file()), None),
                )


_FINDERS: dict[Layout, Callable[[Path], Iterator[_Raw]]] = {
    "flat": _flat,
    "frames_cropped": _frames_cropped,
    "release": _release,
}


def _split_folders(root: Path) -> Iterator[tuple[Path, str]]:
    for name, split in SPLITS.items():
        if (root / name).is_dir():
            yield root / name, split


def _persons(root: Path) -> Iterator[tuple[Path, str | None, list[Path]]]:
    """Each person folder, its split or None, and the folders that may hold its txt files."""
    bases: list[tuple[Path, str | None]] = [*_split_folders(root), (root, None)]
    for base, split in bases:
        text_roots = [base / "txt", root / "txt"]
        for parent in (base / "mp4", base):
            if not parent.is_dir():
                continue
            for person in _children(parent):
                if person.is_dir() and person.name not in (*SPLITS, "mp4", "txt"):
                    yield person, split, text_roots


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _splitter(config: SourceConfig) -> Callable[[_Raw], str]:
    listed = {} if config.split_list is None else _read_split_list(config.split_list)

    def split_of(raw: _Raw) -> str:
        if config.split_list is not None:
            split = listed.get(raw.name, listed.get(raw.person, "train"))
        elif raw.folder_split is not None:
            split = raw.folder_split
        else:
            number = re.fullmatch(r"id(\d+)", raw.person)
            split = "test" if number and int(number[1]) in VOX1_TEST else "train"
        return split

    return split_of


def _choose_val_persons(training: set[str], share: float) -> set[str]:
    """The persons of the split `train` that become the split `val`.

    A person's place depends on the name alone. Where this would leave one of the splits empty, the
    person nearest to the limit changes sides. One person cannot fill two splits: a warning says so.
    """
    if share == 0 or not training:
        return set()
    if len(training) == 1:
        note("warning: source.val_persons needs two training persons, here is one: no split val")
        return set()
    ordered = sorted(training, key=lambda person: (_share(person), person))
    count = sum(_share(person) < share for person in ordered)
    return set(ordered[: min(max(count, 1), len(ordered) - 1)])


def _share(person: str) -> float:
    """A number in [0, 1) that depends on nothing but the name."""
    return int(hashlib.sha256(person.encode()).hexdigest()[:8], 16) / 2**32


def _read_split_list(path: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot read the list of splits ({error}), set source.split_list to a text "
            "file"
        ) from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[1] not in SPLITS:
            raise UserError(
                f"{path}: line {number}: expected a person or clip and one of "
                f"{', '.join(SPLITS)}, got {line[:60]!r}"
            )
        splits[words[0]] = SPLITS[words[1]]
    return splits
