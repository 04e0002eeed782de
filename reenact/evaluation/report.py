"""Writes the result of an evaluation in every form."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reenact.errors import UserError
from reenact.evaluation.page import Example, html
from reenact.evaluation.results import Record
from reenact.evaluation.run_config import EvalRun
from reenact.evaluation.sheet import contact_sheet, png
from reenact.evaluation.tables import latex, markdown, table_csv, videos_csv
from reenact.files import atomic_output

__all__ = ["Example", "write_reports"]


def write_reports(
    run: EvalRun,
    summary: dict[str, Any],
    records: Sequence[Record],
    examples: Sequence[Example],
    pairs: str,
) -> list[Path]:
    """Writes the JSON, the reports, tables and lists to `run.output`; returns their paths.

    pairs: the pair list as CSV. Raises UserError when a file cannot be written.
    """
    sheet = contact_sheet([example.frames for example in examples], run.label)
    files = {
        run.json_path: (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode(),
        run.output / "report.md": markdown(summary).encode(),
        run.output / "report.html": html(summary, records, examples).encode(),
        run.output / "report.tex": latex(summary).encode(),
        run.output / "report.csv": table_csv(summary).encode(),
        run.output / "videos.csv": videos_csv(records).encode(),
        run.output / "pairs.csv": pairs.encode(),
        run.output / "sheet.png": png(sheet),
    }
    for path, content in files.items():
        _write(path, content)
    return list(files)


def _write(path: Path, content: bytes) -> None:
    """Writes a whole file or none. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot make this folder ({error.strerror})") from None
    with atomic_output(path) as temporary:
        temporary.write_bytes(content)
