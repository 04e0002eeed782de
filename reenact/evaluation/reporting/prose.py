"""The sentences of a report, and the report as Markdown."""

from typing import Any

from reenact.errors import counted
from reenact.evaluation.measuring.intervals import LEAST_PEOPLE, NUM_DRAWS
from reenact.evaluation.measuring.metrics import METRICS, Metric
from reenact.evaluation.pairing.pairs import MODES
from reenact.evaluation.reporting import published
from reenact.evaluation.reporting.tables import (
    difference_tables,
    display_name,
    has_best,
    has_intervals,
    known_columns,
    markdown_table,
    mode_tables,
    modes_of,
    number,
    published_table,
)

MODE_TITLES = {
    "self": "Self-reenactment",
    "cross": "Cross-reenactment",
    "large_pose": "Large pose",
}
MODE_SETTINGS = {
    "self": "pairs.num_self",
    "cross": "pairs.num_cross",
    "large_pose": "pairs.num_large_pose",
}
NETWORK_SETTINGS = {
    "lpips": "judges.lpips",
    "inception": "judges.inception",
    "i3d": "judges.i3d",
}
BOLD = "Bold: the best method. networks, warp_only, copy_source and oracle do not compete."
BRACKETS = "In brackets: 95 % confidence intervals of the mean."
BOLD_DIFFERENCE = (
    "Bold: a clear difference, whose 95 % confidence interval (in brackets) does not contain 0."
)


def markdown(summary: dict[str, Any]) -> str:
    """The report in Markdown."""
    lines = [f"# Evaluation of {summary['meta']['label']}", "", facts(summary), ""]
    for mode in modes_of(summary):
        lines += [f"## {heading(summary, mode)}", ""]
        for table in mode_tables(summary, mode).values():
            lines += [*markdown_table(table), ""]
        lines += [BOLD, ""] if has_best(summary, mode) else []
        lines += [sentence + "\n" for sentence in sentences(summary, mode)]
        tables = difference_tables(summary, mode)
        if tables:
            lines += [f"### {difference_title(summary)}", ""]
            for table in tables.values():
                lines += [*markdown_table(table, with_intervals=True), ""]
            lines += [BOLD_DIFFERENCE, ""]
    lines += [reason + "\n" for reason in not_measured(summary)]
    if summary["meta"]["config"].get("published"):
        lines += [f"## {published.TITLE}", "", *markdown_table(published_table(summary))]
        lines += ["", published.NOTE, ""]
    lines += ["## What the numbers mean", "", *(f"- {note}" for note in notes(summary)), ""]
    return "\n".join(lines)


def heading(summary: dict[str, Any], mode: str) -> str:
    """The title of a mode with the number of its pairs."""
    return f"{MODE_TITLES[mode]} ({counted(summary['meta']['num_pairs'][mode], 'pair')})"


def difference_title(summary: dict[str, Any]) -> str:
    """The title of the tables of differences."""
    name = display_name(summary, summary["meta"]["main_row"])
    return f"Difference from {name}, pair by pair"


def facts(summary: dict[str, Any]) -> str:
    """What was measured, in one paragraph."""
    meta = summary["meta"]
    counts = ", ".join(
        f"{counted(meta['num_pairs'][mode], mode.replace('_', ' ') + ' pair')} "
        f"in {counted(meta['num_videos'][mode], 'video')}"
        for mode in modes_of(summary)
    )
    text = (
        f"{counts}. The sources are {counted(meta['num_people'], 'person', 'people')} "
        f"in {counted(meta['num_clips'], 'clip')} of "
        f"{meta['image_size']} pixels (manifest sha256 `{meta['clips_sha256'][:12]}`)."
    )
    if meta.get("weights_sha256"):
        ours = meta["settings"]["ours"]
        text += (
            f" Weights of {meta['label']}: file sha256 `{meta['weights_sha256'][:12]}`, all "
            f"networks `{ours['networks_sha256'][:12]}`, computed in {ours['precision']}."
        )
    return text


def sentences(summary: dict[str, Any], mode: str) -> list[str]:
    """What the tables of a mode do not say."""
    row = summary["reference"][mode]
    whose = "true" if row["csim"] is not None else "target"
    csim = "" if row["csim"] is None else f"csim {number(row['csim'], 3)}, "
    text = f"The {whose} pictures themselves: {csim}face found in {number(row['found'], 1)} %."
    if row["target_csim"] is not None:
        text += f" csim of target and source, who are two people: {row['target_csim']:.3f}."
    lines = [text]
    if not has_intervals(summary, mode):
        lines.append(
            f"There are no confidence intervals: they need at least {LEAST_PEOPLE} people."
        )
    return lines


def not_measured(summary: dict[str, Any]) -> list[str]:
    """The modes and the metrics that the report does not show, each with the reason."""
    lines = [
        f"{MODE_TITLES[mode]}: no pairs. Set {MODE_SETTINGS[mode]} to measure this mode."
        for mode in MODES
        if mode not in modes_of(summary)
    ]
    shown = {column.name for mode in modes_of(summary) for column in known_columns(summary[mode])}
    missing = [metric for metric in METRICS if metric.name not in shown]
    lines += [f"{metric.name}: no value. {_reason(summary, metric)}" for metric in missing]
    return lines


def _reason(summary: dict[str, Any], metric: Metric) -> str:
    if metric.network and metric.network not in summary["meta"]["networks"]:
        return f"Set {NETWORK_SETTINGS[metric.network]}; docs/evaluation.md names the file."
    if metric.pooled is not None:
        return "It needs more pairs with a true picture, or more frames of a video."
    return "No pair has the true picture or the face that it needs."


def notes(summary: dict[str, Any]) -> list[str]:
    """What the rows and the numbers mean, and which networks are behind them."""
    shown = {column.name for mode in modes_of(summary) for column in known_columns(summary[mode])}
    rows = {row for mode in modes_of(summary) for row in summary[mode]}
    backbones = "; ".join(f"{k}: {v}" for k, v in summary["meta"]["backbones"].items())
    lines = []
    if "ours" in rows:
        lines.append(f"{display_name(summary, 'ours')}: the reenactor that is evaluated.")
    if "networks" in rows:
        lines.append("networks: the networks' picture, before it is composed with the photo.")
    if "warp_only" in rows:
        lines.append("warp_only: the moved layers of the photo, without the networks' picture.")
    if "copy_source" in rows:
        lines.append("copy_source: the source picture itself, unchanged.")
    if "oracle" in rows:
        lines.append(
            "oracle: the pretrained autoencoder decodes the semantic code of the true picture "
            "from the source's x_T. It shows what the code alone can give. It is no upper limit: "
            "a method that also carries the source's details can be better."
        )
    return [
        *lines,
        *(f"{metric.name}: {metric.note}" for metric in METRICS if metric.name in shown),
        f"Networks: {backbones}.",
        "Where a cross pair has no true picture, pose, expression and gaze are compared with the "
        "target, and the other comparisons have no value.",
        "Confidence intervals: people (of the source pictures) are drawn with replacement, "
        f"{NUM_DRAWS} times, with a fixed seed. Metrics over all pairs together (Fréchet "
        "distances, correlations, found) have no interval.",
        "Fréchet distances of small sets are too large. Compare only equal numbers of pairs and "
        "videos. fvd and effvd take the measured frames of a video as consecutive.",
    ]
