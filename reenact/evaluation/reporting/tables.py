"""The tables of a report: which rows and columns, which cells are best, and their files."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reenact.evaluation.measuring.metrics import METRICS, PAIR_METRICS, TABLES, Metric
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.measuring.summary import mean
from reenact.evaluation.reporting import published

REFERENCE_ROWS = ("networks", "warp_only", "copy_source", "oracle")
"""Rows that are no methods: the two parts of ours, a copy of the source, and one that sees the true
picture.
"""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A value as text. interval: the 95 % confidence interval, "" without one."""

    text: str
    is_best: bool = False
    interval: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A name and cells for each row; a header for each column of cells."""

    headers: list[str]
    names: list[str]
    rows: list[list[Cell]]

    @property
    def two_line_headers(self) -> list[tuple[str, str]]:
        """Each header as the name and, below it, the unit; "" without one."""
        lines = []
        for header in self.headers:
            name, _, unit = header.partition(" (")
            if "_correlation" in name:
                name, unit = name.replace("_correlation", ""), "correlation"
            lines.append((name, unit.removesuffix(")")))
        return lines


def mode_tables(summary: dict[str, Any], mode: str) -> dict[str, Table]:
    """The tables of a mode, by title. They hold every column with a number."""
    known = known_columns(summary[mode])
    parts = {title: [c for c in known if c.table == title] for title in TABLES}
    return {title: _mode_table(summary, mode, part) for title, part in parts.items() if part}


def _mode_table(summary: dict[str, Any], mode: str, columns: Sequence[Metric]) -> Table:
    intervals = summary["intervals"].get(mode, {})
    best = {column.name: best_rows(summary[mode], column) for column in columns}
    return Table(
        headers=[column.header for column in columns],
        names=[display_name(summary, name) for name in summary[mode]],
        rows=[
            [
                Cell(
                    text=number(row[column.name], column.digits),
                    is_best=name in best[column.name],
                    interval=_span(intervals.get(name, {}).get(column.name), column.digits),
                )
                for column in columns
            ]
            for name, row in summary[mode].items()
        ],
    )


def difference_tables(summary: dict[str, Any], mode: str) -> dict[str, Table]:
    """Each other row minus the main row, by kind of metric. A clear difference is marked."""
    differences = {k: v for k, v in summary["differences"].get(mode, {}).items() if v}
    tables = {}
    for title in TABLES:
        columns = [
            metric
            for metric in PAIR_METRICS
            if metric.table == title and any(metric.name in row for row in differences.values())
        ]
        if columns:
            tables[title] = Table(
                headers=[column.header for column in columns],
                names=[display_name(summary, name) for name in differences],
                rows=[
                    [difference_cell(row.get(column.name), column.digits) for column in columns]
                    for row in differences.values()
                ],
            )
    return tables


def best_rows(table: dict[str, dict[str, float | None]], column: Metric) -> set[str]:
    """The methods with the best shown value; empty where fewer than two methods have one."""
    values = {
        name: round(value, column.digits)
        for name, row in table.items()
        if name not in REFERENCE_ROWS and (value := row.get(column.name)) is not None
    }
    if len(values) < 2:
        return set()
    best = max(values.values()) if column.direction == "↑" else min(values.values())
    return {name for name, value in values.items() if value == best}


def has_best(summary: dict[str, Any], mode: str) -> bool:
    """Whether the tables of the mode compare several methods."""
    return sum(row not in REFERENCE_ROWS for row in summary[mode]) > 1


def has_intervals(summary: dict[str, Any], mode: str) -> bool:
    """Whether any mean of the mode has a confidence interval."""
    return any(summary["intervals"].get(mode, {}).values())


def published_table(summary: dict[str, Any]) -> Table:
    """The published rows, and the measured methods under them."""
    digits = [digits for _, _, digits in published.SOURCES]
    methods = [m for m in _methods(summary) if m not in REFERENCE_ROWS]
    rows = [
        *published.ROWS,
        *((display_name(summary, m), published.measured_row(summary, m)) for m in methods),
    ]
    return Table(
        headers=list(published.HEADERS),
        names=[name for name, _ in rows],
        rows=[
            [Cell(text=number(v, d)) for v, d in zip(values, digits, strict=True)]
            for _, values in rows
        ],
    )


def latex(summary: dict[str, Any], headings: dict[str, str]) -> str:
    """The booktabs tables of each mode, to paste into a paper. headings: by mode."""
    parts = ["% needs \\usepackage{booktabs}"]
    for mode in modes_of(summary):
        for title, table in mode_tables(summary, mode).items():
            rows = [
                " & ".join([_latex(name), *map(_latex_cell, row)]) + r" \\"
                for name, row in zip(table.names, table.rows, strict=True)
            ]
            lines = [
                f"% {headings[mode]}: {title.lower()}",
                f"\\begin{{tabular}}{{l{'r' * len(table.headers)}}}",
                "\\toprule",
                " & ".join(["Method", *map(_latex, table.headers)]) + r" \\",
                "\\midrule",
                *rows,
                "\\bottomrule",
                "\\end{tabular}",
            ]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def table_csv(summary: dict[str, Any]) -> str:
    """One line for each mode, row and metric, with all digits and the interval."""
    rows = []
    for mode in modes_of(summary):
        for name, row in summary[mode].items():
            for metric in known_columns(summary[mode]):
                interval = summary["intervals"].get(mode, {}).get(name, {}).get(metric.name)
                _, low, high = interval or (None, None, None)
                count = summary["meta"]["num_pairs"][mode]
                method = display_name(summary, name)
                rows.append([mode, method, metric.name, row[metric.name], low, high, count])
    return _csv(["mode", "method", "metric", "value", "low", "high", "num_pairs"], rows)


def videos_csv(records: Sequence[Record]) -> str:
    """One line for each video and method: means over the pairs with a known value."""
    names = [metric.name for metric in PAIR_METRICS]
    videos: dict[str, list[Record]] = {}
    for record in records:
        videos.setdefault(record["video"], []).append(record)
    rows: list[list[object]] = []
    for video, part in videos.items():
        yaw = mean([record["yaw_change_deg"] for record in part])
        for method in (row for row in part[0]["variants"] if row not in REFERENCE_ROWS):
            readings = [record["variants"][method] for record in part]
            found = sum(reading["found"] for reading in readings)
            means = [mean([reading.get(name) for reading in readings]) for name in names]
            rows.append([video, method, len(part), found, yaw, *means])
    return _csv(["video", "method", "num_pairs", "num_found", "yaw_change_deg", *names], rows)


def modes_of(summary: dict[str, Any]) -> list[str]:
    """The measured modes, in the order of the report."""
    return list(summary["meta"]["num_pairs"])


def display_name(summary: dict[str, Any], row: str) -> str:
    """The name of a row for readers."""
    return str(summary["meta"]["label"]) if row == "ours" else row


def known_columns(table: dict[str, dict[str, float | None]]) -> list[Metric]:
    """The metrics with a number in any row."""
    return [m for m in METRICS if any(row.get(m.name) is not None for row in table.values())]


def number(value: float | None, digits: int) -> str:
    """A value as text; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def markdown_table(table: Table, *, with_intervals: bool = False) -> list[str]:
    """The lines of a table in Markdown. Best values are bold."""
    rows = [
        [name, *(_markdown_cell(cell, with_intervals) for cell in row)]
        for name, row in zip(table.names, table.rows, strict=True)
    ]
    return [
        "| | " + " | ".join(table.headers) + " |",
        "|---|" + "---:|" * len(table.headers),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _methods(summary: dict[str, Any]) -> list[str]:
    return list(next(summary[mode] for mode in modes_of(summary)))


def _span(interval: list[float] | None, digits: int) -> str:
    return "" if interval is None else f"[{interval[1]:.{digits}f}, {interval[2]:.{digits}f}]"


def difference_cell(interval: list[float] | None, digits: int) -> Cell:
    """A difference (its mean, the lower and the upper end). It is marked when it is clear."""
    if interval is None:
        return Cell(text="–")
    value, low, high = interval
    return Cell(
        text=f"{value:+.{digits}f}",
        is_best=low > 0 or high < 0,
        interval=f"[{low:+.{digits}f}, {high:+.{digits}f}]",
    )


def _markdown_cell(cell: Cell, with_interval: bool) -> str:
    text = f"**{cell.text}**" if cell.is_best else cell.text
    return f"{text} {cell.interval}".strip() if with_interval else text


def _latex_cell(cell: Cell) -> str:
    return f"\\textbf{{{_latex(cell.text)}}}" if cell.is_best else _latex(cell.text)


def _latex(text: str) -> str:
    replacements = {
        "\\": r"\textbackslash{}",
        "_": r"\_",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "°": r"$^\circ$",
        "×": r"$\times$",
        "–": "--",
    }
    return "".join(replacements.get(character, character) for character in text)


def _csv(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([headers, *rows])
    return text.getvalue()
