"""The result of an evaluation as Markdown, as one self-contained HTML page and as a picture."""

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, UnidentifiedImageError

from reenact.errors import UserError
from reenact.evaluation.plot import scatter
from reenact.evaluation.summary import COLUMNS, GAP_NAMES, VARIANTS, Column, Record
from reenact.files import atomic_output

PANELS = ("source", "target", "ours", "oracle", "reference")
MODE_TITLES = {"self": "Self-reenactment", "cross": "Cross-reenactment"}
NOTES = (
    "ours: the reenactor. copy_source: the source itself, unchanged (the floor). oracle: the "
    "pretrained autoencoder decodes the code of the true picture from the source's x_T (the "
    "ceiling of the method).",
    "l1 (mean difference of values from 0 to 1), psnr, ssim and efflpips compare with the rendered "
    "true picture. efflpips is a distance of EfficientNet-lite0 features and not comparable with "
    "published LPIPS.",
    "apd (mean difference of yaw, pitch and roll), aed, gaze_error (relative to the head) and nme "
    "(mean landmark error in % of the distance between the outer eye corners) compare what the "
    "tracker reads from the prediction with what it reads from the true picture.",
    "aed is the expression distance (mean difference of 52 coefficients, × 100), not the identity "
    "distance that the FOMM family calls AED. csim is the SFace cosine with the source.",
    "Face measures are means over the pairs where the faces were found; found says how many of the "
    "predictions these are. Correlations run over all pairs: prediction against true picture.",
)
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.25rem .6rem;text-align:right;
border-bottom:1px solid #ddd}th{font-weight:600;vertical-align:bottom}td:first-child,
th:first-child{text-align:left}.scroll{overflow-x:auto}.pictures img{width:128px;display:block;
image-rendering:pixelated}.pictures td{padding:2px;border:0}.pictures th{text-align:center}
svg{font:11px system-ui,sans-serif;margin-right:1rem}.plots{display:flex;flex-wrap:wrap}
tr.ours td{font-weight:600}pre{background:#f6f6f6;padding:.8rem;overflow-x:auto}
"""


def markdown(summary: dict[str, Any]) -> str:
    """The tables, the gap closure and what the numbers mean, as Markdown."""
    lines = ["# Evaluation on rendered ground truth", ""]
    for mode in _modes(summary):
        count = summary["meta"]["num_pairs"][mode]
        lines += [f"## {MODE_TITLES[mode]} ({count} pairs)", ""]
        columns = [column for column in COLUMNS if _is_known(summary[mode], column)]
        lines.append("| | " + " | ".join(column.header for column in columns) + " |")
        lines.append("|---|" + "---:|" * len(columns))
        for name in VARIANTS:
            cells = [_number(summary[mode][name][column.name], column.digits) for column in columns]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines += ["", _gap_sentence(summary, mode), "", _reference_sentence(summary, mode), ""]
    lines += [f"- {note}" for note in NOTES]
    lines += ["", f"Weights: sha256 `{summary['meta']['weights_sha256']}`.", ""]
    return "\n".join(lines)


def html(
    summary: dict[str, Any], records: list[Record], rows: list[tuple[str, list[np.ndarray]]]
) -> str:
    """One page without outside files.

    rows: (caption, the frames of PANELS) of the example pairs, uint8 (S, S, 3).
    """
    body = ["<h1>Evaluation on rendered ground truth</h1>"]
    for mode in _modes(summary):
        count = summary["meta"]["num_pairs"][mode]
        body += [
            f"<h2>{MODE_TITLES[mode]} ({count} pairs)</h2>",
            _html_table(summary, mode),
            f"<p>{escape(_gap_sentence(summary, mode))} "
            f"{escape(_reference_sentence(summary, mode))}</p>",
            '<div class="plots">',
            *(_error_plot(records, mode, name) for name in GAP_NAMES),
            "</div>",
        ]
    body += ["<h2>What the numbers mean</h2><ul>", *(f"<li>{escape(n)}</li>" for n in NOTES)]
    body += ["</ul><h2>Pictures</h2>", _html_pictures(rows)]
    meta = json.dumps(summary["meta"], indent=1, ensure_ascii=False)
    body.append(f"<details><summary>Configuration</summary><pre>{escape(meta)}</pre></details>")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Evaluation</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def contact_sheet(rows: list[tuple[str, list[np.ndarray]]], side: int = 128) -> np.ndarray:
    """The example pairs with the names of the columns, half of them left, half right.

    Returns uint8 (H, W, 3).
    """
    gap, header = 4, 18
    height = max(1, -(-len(rows) // 2))
    block = len(PANELS) * (side + gap) + 4 * gap
    sheet = Image.new("RGB", (2 * block, header + height * (side + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(2 * len(PANELS)):
        x = column // len(PANELS) * block + gap + column % len(PANELS) * (side + gap)
        name = PANELS[column % len(PANELS)]
        draw.text((x + side / 2, header / 2), name, fill="black", anchor="mm")
    for row, (_, frames) in enumerate(rows):
        left, top = row // height * block + gap, header + gap + row % height * (side + gap)
        for column, frame in enumerate(frames):
            picture = Image.fromarray(frame).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(picture, (left + column * (side + gap), top))
    return np.asarray(sheet)


def write_strip(path: Path, frames: list[np.ndarray]) -> None:
    """Stores the frames of one example row side by side, so that a later run can show it."""
    _write(path, _png(np.concatenate(frames, axis=1)))


def read_strip(path: Path) -> list[np.ndarray] | None:
    """The frames of `write_strip`, or None when there is no such picture."""
    try:
        with Image.open(path) as picture:
            strip = np.asarray(picture.convert("RGB"))
    except (FileNotFoundError, UnidentifiedImageError):
        return None
    return list(np.split(strip, len(PANELS), axis=1))


def write_reports(
    folder: Path,
    summary: dict[str, Any],
    records: list[Record],
    rows: list[tuple[str, list[np.ndarray]]],
    report_json: Path,
) -> list[Path]:
    """Writes the JSON, report.md, report.html and sheet.png; returns their paths."""
    files = {
        report_json: (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode(),
        folder / "report.md": markdown(summary).encode(),
        folder / "report.html": html(summary, records, rows).encode(),
        folder / "sheet.png": _png(contact_sheet(rows)),
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


def _png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "png")
    return buffer.getvalue()


def _modes(summary: dict[str, Any]) -> list[str]:
    return [mode for mode in MODE_TITLES if mode in summary]


def _is_known(table: dict[str, dict[str, float | None]], column: Column) -> bool:
    return any(table[name][column.name] is not None for name in VARIANTS)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _gap_sentence(summary: dict[str, Any], mode: str) -> str:
    closures = [
        f"{name} {100 * value:.0f} %" if value is not None else f"{name} – (no gap)"
        for name, value in summary["gap_closure"][mode].items()
    ]
    return "Of the gap between copy_source and oracle, ours closes: " + ", ".join(closures) + "."


def _reference_sentence(summary: dict[str, Any], mode: str) -> str:
    row = summary["reference"][mode]
    text = (
        f"The true pictures themselves: csim {_number(row['csim'], 3)}, "
        f"face found in {_number(row['found'], 1)} %."
    )
    if row["target_csim"] is not None:
        text += f" The target's csim with the source, another person: {row['target_csim']:.3f}."
    return text


def _html_table(summary: dict[str, Any], mode: str) -> str:
    columns = [column for column in COLUMNS if _is_known(summary[mode], column)]
    head = "".join(f"<th>{escape(column.header)}</th>" for column in columns)
    body = ""
    for name in VARIANTS:
        row = summary[mode][name]
        cells = "".join(f"<td>{_number(row[c.name], c.digits)}</td>" for c in columns)
        body += f'<tr class="{name}"><td>{name}</td>{cells}</tr>'
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _html_pictures(rows: list[tuple[str, list[np.ndarray]]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in PANELS)
    body = ""
    for caption, frames in rows:
        cells = "".join(
            f'<td><img alt="{name}" src="data:image/png;base64,'
            f'{base64.b64encode(_png(frame)).decode()}"></td>'
            for name, frame in zip(PANELS, frames, strict=True)
        )
        body += f"<tr>{cells}<td>{escape(caption)}</td></tr>"
    return (
        f'<table class="pictures"><thead><tr>{head}<th></th></tr></thead><tbody>{body}'
        "</tbody></table>"
    )


def _error_plot(records: list[Record], mode: str, name: str) -> str:
    series = {
        variant: [
            (record["yaw_change_deg"], record["variants"][variant][name])
            for record in records
            if record["mode"] == mode
        ]
        for variant in VARIANTS
    }
    return scatter(series, "change of yaw, source to target (degrees)", f"{name} ({mode})")
