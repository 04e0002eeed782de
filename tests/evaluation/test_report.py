import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.evaluation.measuring.metrics import METRICS, TRACES
from reenact.evaluation.measuring.summary import summarise
from reenact.evaluation.methods.methods import VARIANTS
from reenact.evaluation.reporting import published
from reenact.evaluation.reporting.files import write_reports
from reenact.evaluation.reporting.page import Example, html
from reenact.evaluation.reporting.pictures import PANELS, contact_sheet, read_strip, write_strip
from reenact.evaluation.reporting.plot import scatter
from reenact.evaluation.reporting.tables import latex, markdown, table_csv, videos_csv
from reenact.media.images import read_frame

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Collects the tags and fails on one that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def records() -> list[dict]:
    def reading(value: float) -> dict:
        row = {column.name: value for column in METRICS}
        return row | dict.fromkeys(TRACES, value) | {"found": True}

    return [
        {
            "key": f"{mode}/{i}",
            "mode": mode,
            "video": f"{mode}/a_0__{i // 2}",
            "has_truth": True,
            "yaw_change_deg": 7.0 * i,
            "target_csim": 0.3 if mode == "cross" else None,
            "reference": reading(0.1 * i),
            "variants": {name: reading(0.1 * i + 0.1 * k) for k, name in enumerate(VARIANTS)},
        }
        for mode in ("self", "cross")
        for i in range(5)
    ]


@pytest.fixture
def summary(records: list[dict]) -> dict:
    meta = {
        "config": {"note": "<b>&", "published": True},
        "label": "a & b",
        "num_pairs": {"self": 5, "cross": 5},
        "num_videos": {"self": 3, "cross": 3},
        "num_clips": 4,
        "image_size": 8,
        "weights_sha256": "0" * 64,
        "clips_sha256": "1" * 64,
        "backbones": {"csim": "SFace"},
    }
    return summarise(records) | {"meta": meta}


@pytest.fixture
def rows() -> list[dict[str, np.ndarray]]:
    frames = [np.full((8, 8, 3), 40 * k, np.uint8) for k in range(len(PANELS))]
    return [
        dict(zip(PANELS, frames, strict=True)),
        dict(zip(PANELS, frames[::-1], strict=True)),
    ]


@pytest.fixture
def examples(rows, records) -> list[Example]:
    return [Example(record=records[0], frames=rows[0]), Example(record=records[7], frames=rows[1])]


def test_markdown_has_a_full_table_for_each_mode(summary):
    text = markdown(summary)
    assert "## Self-reenactment (5 pairs)" in text
    assert "apd↓ (°)" in text
    assert "psnr↑ (dB)" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert "another person: 0.300" in text
    of_modes = tables[: 2 * (2 + len(VARIANTS))]
    assert {line.count("|") for line in of_modes} == {tables[0].count("|")}
    others = tables[len(of_modes) :]
    assert len(others) == 2 + len(published.ROWS) + 1
    assert others[-2].startswith("| HyperReenact | 0.71 | 0.23 | 27.1 | 480 | 0.5 | 5.1 | 0.68 |")
    assert others[-1].startswith("| a & b | 0.20 |")
    assert "AED here is the expression distance" in text
    assert "csim: SFace" in text
    assert "0" * 64 in text


def test_html_is_well_formed_and_needs_no_other_file(summary, records, examples):
    page = html(summary, records, examples)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.images) == 2 * len(PANELS)
    assert all(source.startswith("data:image/png;base64,") for source in checker.images)
    assert page.count("<svg") == 12
    assert "<b>&" not in page
    assert "a & b" not in page
    assert "HyperReenact" in page


def test_a_page_without_true_pictures_leaves_their_plots_and_panels_out(summary, records, rows):
    for record in records:
        record["has_truth"] = False
        for reading in record["variants"].values():
            reading |= {"l1": None, "efflpips": None}
    frames = {name: rows[0][name] for name in ("source", "target", "ours")}
    page = html(summary, records, [Example(record=records[0], frames=frames)])
    assert page.count("<svg") == 8
    assert page.count("<img") == 3


def test_latex_closes_what_it_opens_and_escapes(summary):
    text = latex(summary)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({row.replace(r"\&", "").count("&") for row in rows}) == 1
    assert r"gaze\_error$\downarrow$ ($^\circ$)" in text
    assert r"a \& b" in text


def test_csv_tables_keep_every_number(summary, records):
    lines = table_csv(summary).splitlines()
    assert len(lines) == 1 + 2 * len(VARIANTS)
    header, first = lines[0].split(","), lines[1].split(",")
    assert header[3:] == [column.name for column in METRICS]
    assert float(first[header.index("l1")]) == summary["self"]["ours"]["l1"]
    videos = videos_csv(records).splitlines()
    assert len(videos) == 1 + 6
    values = dict(zip(videos[0].split(","), videos[1].split(","), strict=True))
    assert values["video"] == "self/a_0__0"
    assert float(values["l1"]) == pytest.approx(0.05)
    assert float(values["yaw_change_deg"]) == pytest.approx(3.5)


def test_scatter_is_valid_svg_with_every_point(records):
    points = [(float(i), 0.1 * i) for i in range(9)]
    root = ElementTree.fromstring(scatter({"ours": points, "oracle": points[:2]}, "x < y", "e & f"))
    circles = [e for e in root.iter() if e.tag.endswith("circle") and e.get("r") == "2"]
    assert len(circles) == 11
    width, height = float(root.get("width")), float(root.get("height"))
    for circle in circles:
        assert 0 <= float(circle.get("cx")) <= width
        assert 0 <= float(circle.get("cy")) <= height
    assert scatter({"ours": []}, "x", "y") == ""


@pytest.mark.parametrize("y", [0.0, 1e-5, 3.3, 480.0])
def test_scatter_takes_errors_of_any_size(y):
    assert ElementTree.fromstring(scatter({"ours": [(0.0, y)]}, "x", "y")) is not None


def test_contact_sheet_shows_every_panel(rows):
    sheet = contact_sheet(rows, side=8)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    block = len(PANELS) * 12 + 16
    for k in range(len(PANELS)):
        x, y = 4 + k * 12 + 4, 18 + 4 + 4
        assert (sheet[y, x] == 40 * k).all()
        assert (sheet[y, block + x] == 40 * (len(PANELS) - 1 - k)).all()


def test_strip_comes_back(tmp_path, rows):
    path = tmp_path / "strip.png"
    assert read_strip(path) is None
    write_strip(path, rows[0])
    again = read_strip(path)
    assert list(again) == list(PANELS)
    for name, frame in again.items():
        np.testing.assert_array_equal(frame, rows[0][name])
    path.write_bytes(b"not a picture")
    assert read_strip(path) is None


def test_all_reports_are_written(tmp_path, summary, records, examples):
    out, numbers = tmp_path / "out", tmp_path / "numbers" / "embedded.json"
    written = write_reports(out, numbers, summary, records, examples, "mode\n")
    assert all(path.is_file() for path in written)
    assert json.loads(numbers.read_text()) == summary
    assert read_frame(out / "sheet.png").shape[0] > 100
    again = [path.read_bytes() for path in written]
    write_reports(out, numbers, summary, records, examples, "mode\n")
    assert again == [path.read_bytes() for path in written]


def test_reports_without_pictures(tmp_path, summary, records):
    write_reports(tmp_path / "out", tmp_path / "a.json", summary, records, [], "")
    assert (tmp_path / "out" / "report.html").is_file()


def test_an_output_that_cannot_be_written_is_a_user_error(tmp_path, summary, records):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="out"):
        write_reports(tmp_path / "out", tmp_path / "a.json", summary, records, [], "")
