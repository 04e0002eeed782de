"""A scatter plot as inline SVG: an error against the change of yaw, with the mean of each bin."""

from html import escape
from itertools import cycle

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 30, 44
# The Okabe–Ito colours: colour-blind readers can tell them apart.
COLOURS = {
    "ours": "#0072b2",
    "networks": "#cc79a7",
    "warp_only": "#e69f00",
    "copy_source": "#d55e00",
    "oracle": "#009e73",
}
MORE_COLOURS = ("#56b4e9", "#8c6d31", "#7a5195", "#5f5f5f")
LEGEND, LINE = 10, 16  # height of the first line of names, and of each further line
CHARACTER, SPACE = 6.5, 26  # width of a letter of a name, and of its dot with the gap behind it
NUM_BINS = 6
MAX_DOTS = 400  # a series; the means are taken over all points

Points = list[tuple[float, float]]


def scatter(
    series: dict[str, Points], x_label: str, y_label: str, names: dict[str, str] | None = None
) -> str:
    """One <svg> element: faint dots for all points, and lines through the means of the bins.

    names: the shown names of series, where they are not the keys.
    """
    everything = [point for points in series.values() for point in points]
    if not everything:
        return ""
    labels = {name: (names or {}).get(name, name) for name in series}
    places = _legend([*labels.values()])
    top = TOP + LINE * places[-1][1]
    x_max = _round_up(max(x for x, _ in everything))
    y_max = _round_up(max(y for _, y in everything))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / x_max * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / y_max * (HEIGHT - top - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" fill="currentColor" '
        f'aria-label="{escape(y_label)} against {escape(x_label)}">'
    ]
    for step in range(5):
        x, y = place(x_max * step / 4, y_max * step / 4)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" '
            'stroke="currentColor" opacity=".13"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{y_max * step / 4:.3g}</text>'
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{x_max * step / 4:.3g}</text>"
        )
    others = [name for name in series if name not in COLOURS]
    colours = COLOURS | dict(zip(others, cycle(MORE_COLOURS), strict=False))
    for name, points in series.items():
        colour = colours[name]
        for x, y in (place(*point) for point in points[:: -(-len(points) // MAX_DOTS) or 1]):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}" opacity=".28"/>')
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in _bins(points, x_max)))
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
    for (name, label), (left, row) in zip(labels.items(), places, strict=True):
        height = LEGEND + LINE * row
        parts.append(
            f'<circle cx="{left:.0f}" cy="{height}" r="5" fill="{colours[name]}"/>'
            f'<text x="{left + 9:.0f}" y="{height + 4}">{escape(label)}</text>'
        )
    parts.append(
        f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
        f'<text transform="translate(13 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text></svg>"
    )
    return "".join(parts)


def _legend(labels: list[str]) -> list[tuple[float, int]]:
    """Where each name of the legend starts: x, and its line. A full line is followed by another."""
    places, x, line = [], 8.0, 0
    for label in labels:
        width = SPACE + CHARACTER * len(label)
        if x > 8 and x + width > WIDTH:
            x, line = 8.0, line + 1
        places.append((x, line))
        x += width
    return places


def _bins(points: Points, x_max: float) -> Points:
    """The mean point of each of NUM_BINS equal bins that holds any."""
    means = []
    for i in range(NUM_BINS):
        low, high = x_max * i / NUM_BINS, x_max * (i + 1) / NUM_BINS
        inside = [p for p in points if low <= p[0] < high or (p[0] == high == x_max)]
        if inside:
            xs, ys = zip(*inside, strict=True)
            means.append((sum(xs) / len(xs), sum(ys) / len(ys)))
    return means


def _round_up(value: float) -> float:
    """The next of 1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8 × 10^k: quarter ticks stay short numbers."""
    if value <= 0:
        return 1.0
    scale = 1.0
    while value > 10 * scale:
        scale *= 10
    while value <= scale:
        scale /= 10
    steps = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
    return next(step * scale for step in steps if step * scale >= value * (1 - 1e-12))
