"""The files of a report. A report is never replaced silently."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from reenact.errors import UserError
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.reporting.films import Film
from reenact.evaluation.reporting.page import Example, html
from reenact.evaluation.reporting.pictures import contact_sheet, png
from reenact.evaluation.reporting.prose import heading, markdown
from reenact.evaluation.reporting.tables import latex, modes_of, table_csv, videos_csv
from reenact.files import atomic_output, make_folder
from reenact.processes import warn

NUMBERS = "report.json"


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report shows. films: its videos. pairs: the pair list as CSV."""

    folder: Path
    summary: dict[str, Any]
    records: Sequence[Record]
    examples: Sequence[Example]
    films: Sequence[Film]
    pairs: str

    def write_numbers(self, path: Path) -> None:
        """Write the numbers as JSON. Raises UserError."""
        _write(path, _numbers(self.summary))


def place_for(output: Path, label: str, identity: str) -> Path:
    """The folder of a report, named by its label and its identity."""
    return output / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', label)}-{identity}"


def check_free(folder: Path, identity: str, overwrite: bool) -> None:
    """Raises UserError when the folder holds another report."""
    if (folder / NUMBERS).exists() and _identity_in(folder) != identity and not overwrite:
        raise UserError(
            f"{folder}: holds the report of another run; choose another --output, or give "
            "--overwrite"
        )


def write_reports(report: Report, overwrite: bool) -> Report:
    """Write all files of the report, and return it with the folder that was used.

    If the folder holds other numbers of the same run (for example of another machine), the files
    go to a new folder beside it, unless `overwrite`. Raises UserError.
    """
    numbers = _numbers(report.summary)
    if not overwrite:
        report = replace(report, folder=_unused(report.folder, numbers))
    folder, summary = report.folder, report.summary
    headings = {mode: heading(summary, mode) for mode in modes_of(summary)}
    rows = [example.frames for example in report.examples if not example.is_worst]
    names = {"ours": str(summary["meta"]["label"])}
    files = {
        "report.md": markdown(summary).encode(),
        "report.html": html(summary, report.records, report.examples, report.films).encode(),
        "report.tex": latex(summary, headings).encode(),
        "report.csv": table_csv(summary).encode(),
        "videos.csv": videos_csv(report.records).encode(),
        "pairs.csv": report.pairs.encode(),
        "sheet.png": png(contact_sheet(rows, names)),
        NUMBERS: numbers,
    }
    for film in report.films:
        film.write(folder)
    for name, content in files.items():
        _write(folder / name, content)
    return report


def _numbers(summary: dict[str, Any]) -> bytes:
    return (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode()


def _unused(folder: Path, numbers: bytes) -> Path:
    for i in count(2):
        path = folder / NUMBERS
        if not path.exists():
            return folder
        if path.read_bytes() == numbers:
            return folder
        other = folder.with_name(f"{re.sub(r'--[0-9]+$', '', folder.name)}--{i}")
        warn(f"{folder}: holds other numbers of this run, the report goes to {other}")
        folder = other
    raise AssertionError("unreachable")


def _identity_in(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / NUMBERS).read_text())["meta"]["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing. Raises UserError."""
    make_folder(path.parent)
    with atomic_output(path) as temporary:
        temporary.write_bytes(content)
