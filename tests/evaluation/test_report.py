import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.evaluation.plot import scatter
from reenact.evaluation.report import (
    PANELS,
    contact_sheet,
    html,
    markdown,
    read_strip,
    write_reports,
    write_strip,
)
from reenact.evaluation.summary import COLUMNS, TRACES, VARIANTS, summarise
from reenact.images import read_frame

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
        row = {column.name: value for column in COLUMNS}
        return row | dict.fromkeys(TRACES, value) | {"found": True}

    return [
        {
            "key": f"{mode}/{i}",
            "mode": mode,
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
        "config": {"note": "<b>&"},
        "num_pairs": {"self": 5, "cross": 5},
        "weights_sha256": "0" * 64,
    }
    return summarise(records) | {"meta": meta}


@pytest.fixture
def rows() -> list[tuple[str, list[np.ndarray]]]:
    frames = [np.full((8, 8, 3), 40 * k, np.uint8) for k in range(len(PANELS))]
    return [("first & only", frames), ("second", frames[::-1])]


def test_markdown_has_a_full_table_for_each_mode(summary):
    text = markdown(summary)
    assert "## Self-reenactment (5 pairs)" in text
    assert "apd↓ (°)" in text
    assert "psnr↑ (dB)" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert "another person: 0.300" in text
    assert len(tables) == 2 * (2 + len(VARIANTS))
    assert {line.count("|") for line in tables} == {tables[0].count("|")}


def test_html_is_well_formed_and_needs_no_other_file(summary, records, rows):
    page = html(summary, records, rows)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.images) == len(rows) * len(PANELS)
    assert all(source.startswith("data:image/png;base64,") for source in checker.images)
    assert page.count("<svg") == 4
    assert "<b>&" not in page


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
    write_strip(path, rows[0][1])
    for before, after in zip(rows[0][1], read_strip(path), strict=True):
        np.testing.assert_array_equal(before, after)
    path.write_bytes(b"not a picture")
    assert read_strip(path) is None


def test_all_reports_are_written(tmp_path, summary, records, rows):
    target = tmp_path / "numbers" / "embedded.json"
    written = write_reports(tmp_path / "out", summary, records, rows, target)
    assert all(path.is_file() for path in written)
    assert json.loads(target.read_text()) == summary
    assert read_frame(tmp_path / "out" / "sheet.png").shape[0] > 100
    again = [path.read_bytes() for path in written]
    write_reports(tmp_path / "out", summary, records, rows, target)
    assert again == [path.read_bytes() for path in written]


def test_reports_without_pictures(tmp_path, summary, records):
    write_reports(tmp_path, summary, records, [], tmp_path / "report.json")
    assert (tmp_path / "report.html").is_file()


def test_an_output_that_cannot_be_written_is_a_user_error(tmp_path, summary, records):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file"):
        write_reports(tmp_path / "file", summary, records, [], tmp_path / "report.json")
