"""Pair lists as CSV: other columns, names, frames and texts; and the folders of predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tools.fuzz import material
from tools.fuzz.case import Case
from tools.fuzz.typed import one_of

NAMES = (
    *("test_000000", "test_000001", "0", "1", "test/test_000001.mp4", "/a/test_000000.png", ""),
    *("id10280", "..", "/", "#", "x" * 5000, "é", "\x00", "\x07", "a\nb", '"', "'", "1e400"),
)
FRAMES = ("", "0", "1", "3", "4", "-1", "x", "1.5", "9" * 30, "9" * 5000, "nan", "٣")
COLUMNS = ("source", "driving", "frame", "driving_frame", "other", "", "Source", " driving ", "é")
PREDICTIONS = ("missing", "empty", "file", "odd", "good")


def pair_list_case(rng: np.random.Generator, folder: Path) -> Case:
    """A list of pairs and a folder of results of another method, on two tiny clips.

    The judges are slow, so only a few cases are good enough to be measured.
    """
    clips = material.write_clips(folder / "clips")
    path = folder / "pairs.csv"
    is_good = rng.random() < 0.1
    data = _rows(rng, is_good).encode("utf-8", "replace")
    path.write_bytes(material.damaged(rng, data) if not is_good and rng.random() < 0.3 else data)
    predictions = _predictions(rng, folder / "method", is_good)
    words = (
        *("eval", "--config", "embedded/eval", "--device", "cpu", "--only-predictions"),
        *("--predictions", f"method={predictions}", "--output", str(folder / "report")),
        *(f"--set=data.folder={clips}", "--set=data.synthetic=null", "--set=data.num_clips=null"),
        *("--set=pairs.num_self=0", "--set=pairs.cross=listed", f"--set=pairs.list={path}"),
        *("--set=num_examples=1", "--set=num_worst=0"),
    )
    output = folder / "report" / "report.json"
    return Case(kind="pairs", words=words, output=output, files=(path,))


def _rows(rng: np.random.Generator, is_good: bool) -> str:
    if is_good:
        return "source,driving\ntest_000000,test_000001\n"
    columns = ["source", "driving", "frame", "driving_frame"][: int(rng.integers(1, 5))]
    if rng.random() < 0.3:
        columns = [one_of(rng, COLUMNS) for _ in range(int(rng.integers(6)))]
    separator = one_of(rng, (",", ",", ",", ";", "\t", ", "))
    lines = [separator.join(columns)]
    for _ in range(int(rng.integers(5))):
        cells = [one_of(rng, FRAMES if "frame" in name else NAMES) for name in columns]
        lines.append(separator.join([*cells, *(["more"] if rng.random() < 0.1 else [])]))
    return one_of(rng, ("\n", "\r\n", "\r")).join(lines) + one_of(rng, ("\n", ""))


def _predictions(rng: np.random.Generator, folder: Path, is_good: bool) -> Path:
    """A folder of results: right, of odd content, empty, a file, or not there."""
    kind = "good" if is_good else one_of(rng, PREDICTIONS)
    if kind == "file":
        folder.write_bytes(b"x")
    if kind in ("file", "missing"):
        return folder
    video = folder / "cross" / "test_000000_0__test_000001"
    (folder if kind == "empty" else video).mkdir(parents=True)
    if kind == "good":
        for i in range(material.NUM_FRAMES):
            material.write_photo(video / f"{i:06d}.png")
    if kind == "odd":
        photo = material.write_photo(video / "000001.png")
        photo.write_bytes(material.damaged(rng, photo.read_bytes()))
    return folder
