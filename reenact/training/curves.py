"""The curves of a run as one static HTML page, made of metrics.jsonl alone."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from reenact.errors import UserError
from reenact.files import atomic_output

Points = list[tuple[float, float]]
Charts = dict[str, dict[str, Points]]

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 30
MAX_POINTS = 400
"""Of a curve. Longer ones show the means of equal parts."""
LOG_RATIO = 30
"""Positive values that differ by more than this factor get a logarithmic axis."""
FIRST = ("loss",)
"""Charts at the top of the page; the others follow by name."""
# The Okabe–Ito colours can be told apart by colour-blind readers.
COLOURS = {"train": "#0072b2", "val": "#d55e00", "seen": "#cc79a7", "preview": "#009e73"}
STYLE = """
body { font: 15px system-ui, sans-serif; margin: 24px; color: #222; }
figure { display: inline-block; margin: 0 16px 20px 0; }
figcaption { font-weight: 600; }
svg { font-size: 11px; }
img { max-width: 100%; }
pre { background: #f4f4f4; padding: 12px; overflow: auto; }
"""


def write_curves(run_dir: Path) -> Path:
    """Write curves.html into a run folder; returns its path.

    Raises UserError when the folder holds no records of a training.
    """
    charts = read_charts(run_dir)
    path = run_dir / "curves.html"
    with atomic_output(path) as temporary:
        temporary.write_text(page(run_dir, charts), encoding="utf-8")
    return path


def read_charts(run_dir: Path) -> Charts:
    """The curves by the name of the value, and by kind: train, val, seen or preview."""
    metrics = run_dir / "metrics.jsonl"
    if not metrics.is_file():
        raise UserError(f"{run_dir}: holds no metrics.jsonl, give the run_dir of a training")
    charts: Charts = {}
    for number, line in enumerate(metrics.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = {name: float(value) for name, value in json.loads(line).items()}
            step = record.pop("step")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{metrics}: line {number} is not a record of a training") from error
        for key, value in record.items():
            kind, slash, name = key.partition("/")
            if not slash:
                kind, name = "train", key
            if math.isfinite(value):
                charts.setdefault(name, {}).setdefault(kind, []).append((step, value))
    if not charts:
        raise UserError(f"{metrics}: is empty, wait for the first records")
    return charts


def page(run_dir: Path, charts: Charts) -> str:
    """The whole page."""
    names = sorted(charts, key=lambda name: (name not in FIRST, name))
    figures = [
        f"<figure><figcaption>{escape(name)}</figcaption>{chart(charts[name])}</figure>"
        for name in names
    ]
    legend = " ".join(
        f'<span style="color:{colour}">■</span> {kind}' for kind, colour in COLOURS.items()
    )
    previews = sorted((run_dir / "previews").glob("preview_*.png"))
    picture = f'<h2>Last preview</h2><img src="previews/{previews[-1].name}">' if previews else ""
    config = run_dir / "config.json"
    settings = (
        f"<details><summary>Config</summary><pre>{escape(config.read_text())}</pre></details>"
        if config.is_file()
        else ""
    )
    title = f"Training run {escape(run_dir.resolve().name)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1><p>{legend}</p>"
        f"{''.join(figures)}{picture}{settings}</body></html>\n"
    )


def chart(curves: dict[str, Points]) -> str:
    """One <svg> with a line for each kind, over the steps."""
    steps = [step for points in curves.values() for step, _ in points]
    values = [value for points in curves.values() for _, value in points]
    first, last = min(steps), max(steps)
    is_log = min(values) > 0 and max(values) > LOG_RATIO * min(values)
    low, high = min(values), max(values)
    if is_log:
        low, high = math.log(low), math.log(high)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)

    def place(step: float, value: float) -> tuple[float, float]:
        height = (math.log(value) if is_log else value) - low
        x = LEFT + (step - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - height / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'fill="currentColor" aria-label="{escape(", ".join(curves))} over the steps">'
    ]
    for quarter in range(5):
        y_value = low + (high - low) * quarter / 4
        y_value = math.exp(y_value) if is_log else y_value
        x_value = first + (last - first) * quarter / 4
        x, y = place(x_value, y_value)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" '
            'stroke="currentColor" opacity=".15"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{y_value:.3g}</text>'
        )
        if quarter % 2 == 0:
            anchor = ("start", "middle", "end")[quarter // 2]
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="{anchor}">{x_value:.0f}</text>'
            )
    for kind, points in curves.items():
        colour = COLOURS.get(kind, "#666")
        places = [place(*point) for point in thinned(points)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            f'<circle cx="{places[-1][0]:.1f}" cy="{places[-1][1]:.1f}" r="2.5" fill="{colour}"/>'
        )
    return "".join(parts) + "</svg>"


def thinned(points: Sequence[tuple[float, float]]) -> Points:
    """At most MAX_POINTS points: the means of equally long parts."""
    if len(points) <= MAX_POINTS:
        return list(points)
    bounds = [round(i * len(points) / MAX_POINTS) for i in range(MAX_POINTS + 1)]
    short = []
    for start, end in itertools.pairwise(bounds):
        steps, values = zip(*points[start:end], strict=True)
        short.append((sum(steps) / len(steps), sum(values) / len(values)))
    return short
