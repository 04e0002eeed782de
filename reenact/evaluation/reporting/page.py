"""The report as one HTML page that needs no other file."""

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
from reenact.evaluation.reporting.pictures import PANELS, jpeg
from reenact.evaluation.reporting.plot import scatter
from reenact.evaluation.reporting.tables import (
    MODE_TITLES,
    Table,
    display_name,
    facts,
    heading,
    mode_table,
    modes_of,
    notes,
    published_table,
    sentences,
)

PLOTTED = ("l1", "efflpips", "csim", "apd", "aed", "gaze_error")
PICTURE_SIDE = 192
STYLE = """
:root{--ink:#1d2430;--dim:#657080;--line:#e3e6ea;--paper:#fff;--tint:#f4f7fb;--accent:#0072b2}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--dim:#98a3b3;--line:#333b47;--paper:#14181f;
--tint:#1c232d;--accent:#5cb8ee}}
body{font:15px/1.55 system-ui,sans-serif;max-width:1180px;margin:0 auto;padding:2.2rem 1.2rem 4rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.75rem;margin:0}h2{font-size:1.2rem;margin:2.6rem 0 .6rem;padding-top:1.2rem;
border-top:1px solid var(--line)}h2 small,.facts{color:var(--dim);font-weight:400}
.facts{margin:.3rem 0 0;overflow-wrap:anywhere}code{font-size:.85em}
nav a{color:var(--accent);text-decoration:none;margin-right:1.2rem}nav{margin-top:.9rem}
.scroll{overflow-x:auto}table.numbers{border-collapse:collapse;font-variant-numeric:tabular-nums}
.numbers th,.numbers td{padding:.32rem .65rem;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--line)}.numbers th{font-weight:600;font-size:.82rem;color:var(--dim);
vertical-align:bottom}.numbers th span{display:block;font-weight:400}
.numbers td:first-child{text-align:left}.numbers tr.ours td{background:var(--tint);font-weight:600}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:1rem;
margin:1rem 0}svg{font:11px system-ui,sans-serif;width:100%;height:auto;color:var(--ink)}
.pictures{border-collapse:collapse}.pictures img{width:128px;display:block;border-radius:3px}
.pictures img.small{image-rendering:pixelated}.pictures td{padding:3px;border:0}
.pictures th{font-weight:600;font-size:.82rem;color:var(--dim)}
.pictures td.caption{padding-left:.8rem;color:var(--dim);font-size:.85rem;white-space:pre-line}
ul{padding-left:1.2rem}li{margin:.3rem 0}pre{background:var(--tint);padding:.9rem;overflow-x:auto;
font-size:.8rem}summary{cursor:pointer;margin-top:2rem;color:var(--dim)}
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A pair that is shown: its record, and its frames (S, S, 3) by panel."""

    record: Record
    frames: dict[str, np.ndarray]


def html(summary: dict[str, Any], records: Sequence[Record], examples: Sequence[Example]) -> str:
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
        body += _mode(summary, mode, records, [e for e in examples if e.record["mode"] == mode])
    if meta["config"].get("published"):
        body += [
            f'<h2 id="published">{escape(published.TITLE)}</h2>',
            _table(published_table(summary), ours=label),
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
    summary: dict[str, Any], mode: str, records: Sequence[Record], examples: Sequence[Example]
) -> list[str]:
    title, _, count = heading(summary, mode).partition(" (")
    of_mode = [record for record in records if record["mode"] == mode]
    return [
        f'<h2 id="{mode}">{title} <small>{count.rstrip(")")}</small></h2>',
        _table(mode_table(summary, mode), ours=display_name(summary, "ours")),
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences(summary, mode)),
        '<div class="plots">',
        *(_error_plot(summary, of_mode, name) for name in PLOTTED),
        "</div>",
        _pictures(examples, display_name(summary, "ours")),
    ]


def _table(table: Table, ours: str) -> str:
    heads = []
    for header in table.headers:
        name, _, unit = header.partition(" (")
        if "_correlation" in name:
            name, unit = name.replace("_correlation", ""), "correlation"
        below = f"<span>{escape(unit.rstrip(')'))}</span>" if unit else ""
        heads.append(f"<th>{escape(name)}{below}</th>")
    rows = ""
    for row in table.rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        rows += f'<tr class="ours">{cells}</tr>' if row[0] == ours else f"<tr>{cells}</tr>"
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr><th></th>{"".join(heads)}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _pictures(examples: Sequence[Example], label: str) -> str:
    if not examples:
        return ""
    panels = [name for name in PANELS if any(name in example.frames for example in examples)]
    head = "".join(f"<th>{escape(label if n == 'ours' else n)}</th>" for n in panels)
    body = ""
    for example in examples:
        cells = "".join(f"<td>{_image(example.frames.get(name), name)}</td>" for name in panels)
        body += f'<tr>{cells}<td class="caption">{escape(caption(example.record))}</td></tr>'
    return (
        '<div class="scroll"><table class="pictures"><thead><tr>'
        f"{head}<th></th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _image(frame: np.ndarray | None, name: str) -> str:
    if frame is None:
        return ""
    kind = "png" if frame.shape[0] <= PICTURE_SIDE else "jpeg"
    data = base64.b64encode(jpeg(frame, PICTURE_SIDE)).decode()
    small = ' class="small"' if frame.shape[0] < 128 else ""
    return f'<img alt="{escape(name)}"{small} src="data:image/{kind};base64,{data}">'


def caption(record: Record) -> str:
    """What a picture row is worth, line by line."""
    ours = record["variants"]["ours"]
    lines = [f"yaw changes by {record['yaw_change_deg']:.0f}°"]
    shown = [("l1", 3), ("csim", 2), ("apd", 1)]
    values = [
        f"{name} {ours[name]:.{digits}f}" for name, digits in shown if ours.get(name) is not None
    ]
    lines.append(", ".join(values) if ours["found"] else "no face found")
    return "\n".join(lines)


def _error_plot(summary: dict[str, Any], records: Sequence[Record], name: str) -> str:
    series = {
        variant: [
            (record["yaw_change_deg"], reading[name])
            for record in records
            if (reading := record["variants"][variant]).get(name) is not None
        ]
        for variant in (records[0]["variants"] if records else ())
    }
    label = display_name(summary, "ours")
    return scatter(series, "change of yaw (degrees)", BY_NAME[name].header, {"ours": label})


def _text(text: str) -> str:
    """Escaped, with `code` marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
