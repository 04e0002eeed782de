"""The tables of a report, in Markdown, CSV and LaTeX, and the sentences around them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reenact.evaluation.measuring.metrics import METRICS, PAIR_METRICS, Metric
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.measuring.summary import mean
from reenact.evaluation.reporting import published

MODE_TITLES = {
    "self": "Self-reenactment",
    "cross": "Cross-reenactment",
    "large_pose": "Large pose",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text cells; the first of each row is its name."""

    headers: list[str]
    rows: list[list[str]]


def mode_table(summary: dict[str, Any], mode: str) -> Table:
    """Every column that holds a number, every variant."""
    columns = known_columns(summary[mode])
    return Table(
        headers=[column.header for column in columns],
        rows=[
            [display_name(summary, name), *(number(row[c.name], c.digits) for c in columns)]
            for name, row in summary[mode].items()
        ],
    )


def published_table(summary: dict[str, Any]) -> Table:
    """The published rows, and ours under them."""
    digits = [digits for _, _, digits in published.SOURCES]
    rows = [*published.ROWS, (display_name(summary, "ours"), published.own_row(summary))]
    return Table(
        headers=list(published.HEADERS),
        rows=[
            [name, *(number(v, d) for v, d in zip(values, digits, strict=True))]
            for name, values in rows
        ],
    )


def markdown(summary: dict[str, Any]) -> str:
    """The tables and the meaning of the numbers, as Markdown."""
    meta = summary["meta"]
    lines = [f"# Evaluation of {meta['label']}", "", facts(summary), ""]
    for mode in modes_of(summary):
        lines += [f"## {heading(summary, mode)}", ""]
        lines += [*_markdown_table(mode_table(summary, mode)), ""]
        lines += [sentence + "\n" for sentence in sentences(summary, mode)]
    if meta["config"].get("published"):
        lines += [f"## {published.TITLE}", "", *_markdown_table(published_table(summary))]
        lines += ["", published.NOTE, ""]
    lines += ["## What the numbers mean", "", *(f"- {note}" for note in notes(summary)), ""]
    return "\n".join(lines)


def latex(summary: dict[str, Any]) -> str:
    """One booktabs table a mode, to paste into a paper."""
    parts = ["% needs \\usepackage{booktabs}"]
    for mode in modes_of(summary):
        table = mode_table(summary, mode)
        lines = [
            f"% {heading(summary, mode)}",
            f"\\begin{{tabular}}{{l{'r' * len(table.headers)}}}",
            "\\toprule",
            " & ".join(["Method", *map(_latex, table.headers)]) + r" \\",
            "\\midrule",
            *(" & ".join(map(_latex, row)) + r" \\" for row in table.rows),
            "\\bottomrule",
            "\\end{tabular}",
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def table_csv(summary: dict[str, Any]) -> str:
    """One line a mode and variant, all columns, full digits."""
    names = [metric.name for metric in METRICS]
    rows = [
        [mode, display_name(summary, name), summary["meta"]["num_pairs"][mode]]
        + [row[column] for column in names]
        for mode in modes_of(summary)
        for name, row in summary[mode].items()
    ]
    return _csv(["mode", "method", "num_pairs", *names], rows)


def videos_csv(records: Sequence[Record]) -> str:
    """One line a video: means of the result over its pairs, where the numbers are known."""
    names = [metric.name for metric in PAIR_METRICS]
    videos: dict[str, list[Record]] = {}
    for record in records:
        videos.setdefault(record["video"], []).append(record)
    rows = []
    for video, part in videos.items():
        readings = [record["variants"]["ours"] for record in part]
        found = sum(reading["found"] for reading in readings)
        means = [mean([reading.get(name) for reading in readings]) for name in names]
        yaw = mean([record["yaw_change_deg"] for record in part])
        rows.append([video, len(part), found, yaw, *means])
    return _csv(["video", "num_pairs", "num_found", "yaw_change_deg", *names], rows)


def modes_of(summary: dict[str, Any]) -> list[str]:
    return [mode for mode in MODE_TITLES if mode in summary]


def heading(summary: dict[str, Any], mode: str) -> str:
    return f"{MODE_TITLES[mode]} ({summary['meta']['num_pairs'][mode]} pairs)"


def display_name(summary: dict[str, Any], variant: str) -> str:
    return str(summary["meta"]["label"]) if variant == "ours" else variant


def known_columns(table: dict[str, dict[str, float | None]]) -> list[Metric]:
    """Those with a number in any row."""
    return [c for c in METRICS if any(row.get(c.name) is not None for row in table.values())]


def number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def facts(summary: dict[str, Any]) -> str:
    """What was measured, in one line."""
    meta = summary["meta"]
    counts = ", ".join(
        f"{meta['num_pairs'][mode]} {mode.replace('_', ' ')} pairs "
        f"in {meta['num_videos'][mode]} videos"
        for mode in modes_of(summary)
    )
    weights = meta["weights_sha256"]
    subject = (
        f"predictions in {meta['config'].get('predictions')}"
        if weights is None
        else f"weights sha256 `{weights}`"
    )
    return (
        f"{counts}; sources from {meta['num_clips']} clips of {meta['image_size']} pixels "
        f"(manifest sha256 `{meta['clips_sha256'][:12]}`); {subject}."
    )


def sentences(summary: dict[str, Any], mode: str) -> list[str]:
    """What the table of a mode does not say."""
    row = summary["reference"][mode]
    text = f"face found in {number(row['found'], 1)} %"
    if row["csim"] is not None:
        text = f"csim {number(row['csim'], 3)}, {text}"
    whose = "true" if row["csim"] is not None else "target"
    text = f"The {whose} pictures themselves: {text}."
    if row["target_csim"] is not None:
        text += f" The target's csim with the source, another person: {row['target_csim']:.3f}."
    return [text]


def notes(summary: dict[str, Any]) -> list[str]:
    """What the rows and the numbers mean, and which networks are behind them."""
    ours = display_name(summary, "ours")
    shown = {column.name for mode in modes_of(summary) for column in known_columns(summary[mode])}
    backbones = "; ".join(f"{k}: {v}" for k, v in summary["meta"]["backbones"].items())
    return [
        f"{ours}: the method that is evaluated.",
        "copy_source: the source picture itself, unchanged.",
        "oracle: the pretrained autoencoder decodes the semantic code of the true picture from the "
        "source's x_T. It shows what the code alone can give. It is no upper limit: a method that "
        "also carries the source's details can be better.",
        *(f"{metric.name}: {metric.note}" for metric in METRICS if metric.name in shown),
        f"Networks: {backbones}.",
        "Where a cross pair has no true picture, pose, expression and gaze are compared with the "
        "target, and the other comparisons have no value.",
        "Fréchet distances of small sets are too large. Compare only equal numbers of pairs and "
        "videos. fvd and effvd take the measured frames of a video as consecutive.",
    ]


def _markdown_table(table: Table) -> list[str]:
    return [
        "| | " + " | ".join(table.headers) + " |",
        "|---|" + "---:|" * len(table.headers),
        *("| " + " | ".join(row) + " |" for row in table.rows),
    ]


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
