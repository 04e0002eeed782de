"""What the command prints at its end: the main tables as plain text. The report has the rest."""

from typing import Any

from reenact.evaluation.reporting.prose import heading
from reenact.evaluation.reporting.tables import Table, has_best, mode_tables, modes_of

SHOWN = ("Pictures", "Faces")
"""The tables of the terminal. Numbers of regions, intervals and differences are in the report."""


def terminal(summary: dict[str, Any]) -> str:
    """The main tables of each mode, and one line that says how to read them."""
    lines: list[str] = []
    for mode in modes_of(summary):
        lines.append(heading(summary, mode))
        tables = mode_tables(summary, mode)
        for title in SHOWN:
            lines += [*_aligned(tables[title]), ""] if title in tables else []
    best = "*: the best method. " if any(has_best(summary, m) for m in modes_of(summary)) else ""
    lines.append(
        f"↑: more is better. ↓: less is better. {best}The report explains rows and columns."
    )
    return "\n".join(lines)


def _aligned(table: Table) -> list[str]:
    names, units = zip(*table.two_line_headers, strict=True)
    rows = [
        ["", *names],
        ["", *(unit.replace("correlation", "corr.") for unit in units)],
        *(
            [name, *(f"*{cell.text}" if cell.is_best else cell.text for cell in cells)]
            for name, cells in zip(table.names, table.rows, strict=True)
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
        if any(row)
    ]
