"""Writes the report in all its forms."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reenact.evaluation.measuring.records import Record
from reenact.evaluation.reporting.page import Example, html
from reenact.evaluation.reporting.pictures import contact_sheet, png
from reenact.evaluation.reporting.tables import latex, markdown, table_csv, videos_csv
from reenact.files import atomic_output, make_folder

__all__ = ["Example", "write_reports"]


def write_reports(
    folder: Path,
    json_path: Path,
    summary: dict[str, Any],
    records: Sequence[Record],
    examples: Sequence[Example],
    pairs: str,
) -> list[Path]:
    """Write the report files to `folder` and the numbers to `json_path`; return the paths.

    pairs: the pair list as CSV. Raises UserError when a file cannot be written.
    """
    sheet = contact_sheet([example.frames for example in examples], summary["meta"]["label"])
    files = {
        json_path: (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode(),
        folder / "report.md": markdown(summary).encode(),
        folder / "report.html": html(summary, records, examples).encode(),
        folder / "report.tex": latex(summary).encode(),
        folder / "report.csv": table_csv(summary).encode(),
        folder / "videos.csv": videos_csv(records).encode(),
        folder / "pairs.csv": pairs.encode(),
        folder / "sheet.png": png(sheet),
    }
    for path, content in files.items():
        _write(path, content)
    return list(files)


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing. Raises UserError."""
    make_folder(path.parent)
    with atomic_output(path) as temporary:
        temporary.write_bytes(content)
