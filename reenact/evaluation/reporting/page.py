"""The report as one HTML page. Its pictures are in the page, its videos in the folder beside it."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from reenact.evaluation.measuring.metrics import BY_NAME
from reenact.evaluation.measuring.records import Record
from reenact.evaluation.reporting import published
from reenact.evaluation.reporting.films import Film
from reenact.evaluation.reporting.pictures import (
    DIFFERENCE_GAIN,
    difference_map,
    jpeg,
    panels_of,
)
from reenact.evaluation.reporting.plot import scatter
from reenact.evaluation.reporting.prose import (
    BOLD,
    BOLD_DIFFERENCE,
    BRACKETS,
    MODE_TITLES,
    difference_title,
    facts,
    heading,
    not_measured,
    notes,
    sentences,
)
from reenact.evaluation.reporting.tables import (
    REFERENCE_ROWS,
    Table,
    difference_tables,
    display_name,
    has_best,
    has_intervals,
    mode_tables,
    modes_of,
    published_table,
)

PLOTTED = ("l1", "lpips", "csim", "apd", "aed", "gaze_error")
PICTURE_SIDE = 192
STYLE = """
:root{--ink:#1d2430;--dim:#657080;--line:#e3e6ea;--paper:#fff;--tint:#f4f7fb;--accent:#0072b2}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--dim:#98a3b3;--line:#333b47;--paper:#14181f;
--tint:#1c232d;--accent:#5cb8ee}}
body{font:15px/1.55 system-ui,sans-serif;max-width:1180px;margin:0 auto;padding:2.2rem 1.2rem 4rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.75rem;margin:0}h2{font-size:1.2rem;margin:2.6rem 0 .6rem;padding-top:1.2rem;
border-top:1px solid var(--line)}h2 small,.facts{color:var(--dim);font-weight:400}
h3{font-size:1rem;margin:1.6rem 0 .4rem}
.facts{margin:.3rem 0 0;overflow-wrap:anywhere}code{font-size:.85em}
nav a{color:var(--accent);text-decoration:none;margin-right:1.2rem}nav{margin-top:.9rem}
.scroll{overflow-x:auto;margin-bottom:1.2rem}table.numbers{border-collapse:collapse;font-variant-numeric:tabular-nums}
.numbers th,.numbers td{padding:.32rem .6rem;text-align:right;
border-bottom:1px solid var(--line)}.numbers td,.numbers th span{white-space:nowrap}
.numbers th{font-weight:600;font-size:.82rem;color:var(--dim);
vertical-align:bottom}.numbers th span,.numbers td span{display:block;font-weight:400}
.numbers td span{font-size:.72rem;color:var(--dim)}.numbers td b{font-weight:700}
.numbers td{vertical-align:top}.numbers td:first-child{text-align:left}.numbers tr.main td{
background:var(--tint)}.numbers tr.reference td{color:var(--dim)}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:1rem;
margin:1rem 0}svg{font:11px system-ui,sans-serif;width:100%;height:auto;color:var(--ink)}
.pictures{border-collapse:collapse}.pictures img{width:128px;display:block;border-radius:3px}
.pictures img.small{image-rendering:pixelated}.pictures td{padding:3px;border:0}
.pictures th{font-weight:600;font-size:.82rem;color:var(--dim)}
.pictures td.caption{padding-left:.8rem;color:var(--dim);font-size:.82rem;line-height:1.35;
white-space:pre}
figure{margin:1rem 0}video{max-width:100%;border-radius:3px}
figcaption{color:var(--dim);font-size:.82rem;overflow-wrap:anywhere}
ul{padding-left:1.2rem}li{margin:.3rem 0}pre{background:var(--tint);padding:.9rem;overflow-x:auto;
font-size:.8rem}summary{cursor:pointer;margin-top:2rem;color:var(--dim)}
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A pair that is shown: its record, and its frames (S, S, 3) by panel.

    is_worst: it is shown for its large error.
    """

    record: Record
    frames: dict[str, np.ndarray]
    is_worst: bool = False


def html(
    summary: dict[str, Any],
    records: Sequence[Record],
    examples: Sequence[Example],
    films: Sequence[Film] = (),
) -> str:
    """The whole page."""
    meta, label = summary["meta"], str(summary["meta"]["label"])
    modes = modes_of(summary)
    links = [(mode, MODE_TITLES[mode]) for mode in modes]
    links += [("published", "Published")] if meta["config"].get("published") else []
    links += [("notes", "What the numbers mean")]
    body = [
        f"<h1>Evaluation of {escape(label)}</h1>",
        f'<p class="facts">{_text(facts(summary))}</p>',
        "<nav>" + "".join(f'<a href="#{key}">{escape(text)}</a>' for key, text in links) + "</nav>",
    ]
    for mode in modes:
        shown = [example for example in examples if example.record["mode"] == mode]
        body += _mode(summary, mode, records, shown, [f for f in films if f.mode == mode])
    missing = not_measured(summary)
    if missing:
        body.append('<h2 id="missing">Not measured</h2><ul>')
        body += [*(f"<li>{escape(reason)}</li>" for reason in missing), "</ul>"]
    if meta["config"].get("published"):
        body += [
            f'<h2 id="published">{escape(published.TITLE)}</h2>',
            _table(published_table(summary), main=label),
            f'<p class="facts">{escape(published.NOTE)}</p>',
        ]
    body += ['<h2 id="notes">What the numbers mean</h2><ul>']
    body += [f"<li>{escape(note)}</li>" for note in notes(summary)]
    config = escape(json.dumps(meta, indent=1, ensure_ascii=False))
    body.append(f"</ul><details><summary>Configuration</summary><pre>{config}</pre></details>")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Evaluation of {escape(label)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _mode(
    summary: dict[str, Any],
    mode: str,
    records: Sequence[Record],
    examples: Sequence[Example],
    films: Sequence[Film],
) -> list[str]:
    title, _, pairs = heading(summary, mode).partition(" (")
    of_mode = [record for record in records if record["mode"] == mode]
    main = display_name(summary, summary["meta"]["main_row"])
    below = [BOLD] * has_best(summary, mode) + [BRACKETS] * has_intervals(summary, mode)
    tables = [_table(table, main) for table in mode_tables(summary, mode).values()]
    differences = [_table(table, main) for table in difference_tables(summary, mode).values()]
    plots = [plot for name in PLOTTED if (plot := _error_plot(summary, of_mode, name))]
    usual = [example for example in examples if not example.is_worst]
    worst = [example for example in examples if example.is_worst]
    return [
        f'<h2 id="{mode}">{title} <small>{pairs.rstrip(")")}</small></h2>',
        *tables,
        *(f'<p class="facts">{escape(sentence)}</p>' for sentence in below),
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences(summary, mode)),
        *(
            [
                f"<h3>{escape(difference_title(summary))}</h3>",
                *differences,
                f'<p class="facts">{escape(BOLD_DIFFERENCE)}</p>',
            ]
            if differences
            else []
        ),
        "<h3>Error and turn of the head</h3>",
        '<div class="plots">' + "".join(plots) + "</div>" if plots else "<p>No values.</p>",
        "<h3>Examples, spread evenly over the pairs</h3>",
        _pictures(summary, usual) or "<p>No pictures: num_examples is 0.</p>",
        *(["<h3>Videos</h3>", *map(_film, films)] if films else []),
        *(["<h3>Largest errors</h3>", _pictures(summary, worst)] if worst else []),
    ]


def _table(table: Table, main: str) -> str:
    heads = []
    for name, unit in table.two_line_headers:
        below = f"<span>{escape(unit)}</span>" if unit else ""
        # A long name may be broken, so that a wide table fits the page.
        heads.append(f"<th>{escape(name).replace('_', '_<wbr>')}{below}</th>")
    rows = ""
    for name, row in zip(table.names, table.rows, strict=True):
        cells = f"<td>{escape(name)}</td>"
        for cell in row:
            text = f"<b>{escape(cell.text)}</b>" if cell.is_best else escape(cell.text)
            interval = f"<span>{escape(cell.interval)}</span>" if cell.interval else ""
            cells += f"<td>{text}{interval}</td>"
        kind = "main" if name == main else "reference" if name in REFERENCE_ROWS else ""
        rows += f'<tr class="{kind}">{cells}</tr>' if kind else f"<tr>{cells}</tr>"
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr><th></th>{"".join(heads)}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _pictures(summary: dict[str, Any], examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    names = panels_of([example.frames for example in examples])
    main = summary["meta"]["main_row"]
    has_truth = any("reference" in example.frames for example in examples)
    heads = [display_name(summary, name) for name in names]
    heads += [f"error of {display_name(summary, main)} × {DIFFERENCE_GAIN}"] if has_truth else []
    body = ""
    for example in examples:
        frames = example.frames
        cells = [_image(frames.get(name), name) for name in names]
        if has_truth:
            is_shown = main in frames and "reference" in frames
            pair = difference_map(frames[main], frames["reference"]) if is_shown else None
            cells.append(_image(pair, "difference"))
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells)
        body += f'<td class="caption">{escape(caption(example.record, main))}</td></tr>'
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return (
        '<div class="scroll"><table class="pictures"><thead><tr>'
        f"{head}<th></th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _film(film: Film) -> str:
    """A video that plays by itself, without sound, again and again."""
    panels = " | ".join(film.labels)
    return (
        f'<figure><video src="{escape(film.path)}" autoplay loop muted playsinline controls>'
        f"</video><figcaption>{escape(f'{film.name}: {panels}')}</figcaption></figure>"
    )


def _image(frame: np.ndarray | None, name: str) -> str:
    if frame is None:
        return ""
    kind = "png" if frame.shape[0] <= PICTURE_SIDE else "jpeg"
    data = base64.b64encode(jpeg(frame, PICTURE_SIDE)).decode()
    small = ' class="small"' if frame.shape[0] < 128 else ""
    return f'<img alt="{escape(name)}"{small} src="data:image/{kind};base64,{data}">'


def caption(record: Record, row: str) -> str:
    """The turn of the head and the numbers of a row of pictures, line by line."""
    reading = record["variants"][row]
    lines = [f"turn of {record['yaw_change_deg']:.0f}°"]
    lines += [
        f"{name} {reading[name]:.{BY_NAME[name].digits}f}"
        for name in ("l1", "lpips", "csim", "apd")
        if reading.get(name) is not None
    ]
    return "\n".join(lines if reading["found"] else [*lines, "no face found"])


def _error_plot(summary: dict[str, Any], records: Sequence[Record], name: str) -> str:
    series = {
        variant: [
            (record["yaw_change_deg"], reading[name])
            for record in records
            if (reading := record["variants"][variant]).get(name) is not None
        ]
        for variant in (records[0]["variants"] if records else ())
    }
    names = {"ours": display_name(summary, "ours")}
    return scatter(series, "change of yaw (degrees)", BY_NAME[name].header, names)


def _text(text: str) -> str:
    """Escaped, with `code` marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
