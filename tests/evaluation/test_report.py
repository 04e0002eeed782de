import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.evaluation.measuring.intervals import difference_intervals, mean_intervals
from reenact.evaluation.measuring.metrics import BY_NAME, METRICS
from reenact.evaluation.measuring.pooled import TRACES
from reenact.evaluation.measuring.summary import summarise
from reenact.evaluation.reporting.files import Report, check_free, place_for, write_reports
from reenact.evaluation.reporting.page import Example, html
from reenact.evaluation.reporting.pictures import (
    contact_sheet,
    difference_map,
    panels_of,
    read_strip,
    write_strip,
)
from reenact.evaluation.reporting.plot import scatter
from reenact.evaluation.reporting.prose import markdown
from reenact.evaluation.reporting.tables import best_rows, latex, table_csv, videos_csv
from reenact.evaluation.reporting.terminal import terminal
from reenact.media.images import read_frame

VOID = {"meta", "img", "br", "wbr"}
NUM = 6
ROWS = ("ours", "fomm", "warp_only", "copy_source", "oracle")
PANELS = ("source", "target", "ours", "warp_only", "oracle", "reference")


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
            "person": f"id{i}",
            "has_truth": True,
            "yaw_change_deg": 7.0 * i,
            "target_csim": 0.3 if mode == "cross" else None,
            "reference": reading(0.1 * i),
            "variants": {name: reading(0.1 * i + 0.1 * k) for k, name in enumerate(ROWS)},
        }
        for mode in ("self", "cross")
        for i in range(NUM)
    ]


@pytest.fixture
def summary(records: list[dict]) -> dict:
    meta = {
        "config": {"note": "<b>&", "published": True},
        "label": "a & b",
        "main_row": "ours",
        "settings": {"ours": {"networks_sha256": "2" * 64, "precision": "float32"}},
        "num_pairs": {"self": NUM, "cross": NUM},
        "num_videos": {"self": 3, "cross": 3},
        "num_clips": 4,
        "num_people": 4,
        "image_size": 8,
        "weights_sha256": "0" * 64,
        "clips_sha256": "1" * 64,
        "networks": {"identity": "SFace", "tracker": "ours", "effnet": "EfficientNet"},
        "backbones": {"csim": "SFace"},
    }
    return summarise(records) | {
        "intervals": mean_intervals(records),
        "differences": difference_intervals(records, "ours"),
        "meta": meta,
    }


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
    assert "## Self-reenactment (6 pairs)" in text
    assert "apd↓ (°)" in text
    assert "psnr↑ (dB)" in text
    assert "who are two people: 0.300" in text
    assert "AED here is the expression distance" in text
    assert "csim: SFace" in text
    # fomm is worse by 0.1 in every pair, so it loses in l1 and wins in psnr.
    lines = text.splitlines()
    ours, fomm = (
        next(line for line in lines if line.startswith(f"| {n} |")) for n in ("a & b", "fomm")
    )
    assert ours.startswith("| a & b | **0.2500** | 0.25 |")
    assert fomm.startswith("| fomm | 0.3500 | **0.35** |")
    assert "| fomm | **+0.1000** [+0.1000, +0.1000] |" in text
    published_lines = [line for line in lines if line.startswith("| HyperReenact")]
    assert published_lines == [
        "| HyperReenact | 0.71 | 0.23 | 27.1 | 480 | 0.5 | 5.1 | 0.68 | 0.5 | 9.3 |"
    ]
    assert lines[lines.index(published_lines[0]) + 1].startswith("| a & b | 0.25 |")
    assert "0" * 12 in text
    assert "2" * 12 in text


def test_the_terminal_shows_the_main_tables_alone(summary):
    lines = terminal(summary).splitlines()
    assert lines[0] == "Self-reenactment (6 pairs)"
    assert lines[1].split() == ["l1↓", "psnr↑", "ssim↑", "lpips↓", "efflpips↓"]
    assert lines[2].split() == ["0", "to", "1", "dB"]
    assert lines[3].split() == ["a", "&", "b", "*0.2500", "0.25", "0.250", "*0.250", "*0.250"]
    assert lines[4].split() == ["fomm", "0.3500", "*0.35", "*0.350", "0.350", "0.350"]
    assert len({len(line) for line in lines[1:2] + lines[3:8]}) == 1  # the columns are aligned
    assert lines[9].split()[:2] == ["csim↑", "apd↓"]
    assert [line for line in lines if line.startswith("Cross")] == ["Cross-reenactment (6 pairs)"]
    assert lines[-1].startswith("↑: more is better. ↓: less is better. *: the best method.")
    assert len(lines) == 2 * (1 + 2 * (2 + len(ROWS) + 1)) + 1
    assert not any("l1_face" in line or "AED" in line for line in lines)


def test_the_report_says_what_was_not_measured_and_why(summary):
    text = markdown(summary)
    assert "Large pose: no pairs. Set pairs.num_large_pose to measure this mode." in text
    assert "fid: no value. Set judges.inception; docs/evaluation.md names the file." in text
    assert "efffid: no value. It needs more pairs" in text
    assert "confidence intervals: they need" not in text
    assert "gap" not in text


def test_the_best_method_is_found_among_methods_only():
    table = {
        "ours": {"l1": 0.10004, "psnr": None},
        "fomm": {"l1": 0.10001, "psnr": 21.0},
        "lia": {"l1": 0.2, "psnr": 20.0},
        "copy_source": {"l1": 0.0, "psnr": 99.0},
    }
    assert best_rows(table, BY_NAME["l1"]) == {"ours", "fomm"}  # equal as shown
    assert best_rows(table, BY_NAME["psnr"]) == {"fomm"}
    floors = {"copy_source": {"l1": 0.0}, "warp_only": {"l1": 0.0}}
    assert best_rows({"ours": {"l1": 1.0}, **floors}, BY_NAME["l1"]) == set()


def test_html_is_well_formed_and_needs_no_other_file(summary, records, examples):
    page = html(summary, records, examples)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.images) == 2 * (len(PANELS) + 1)  # one more for the difference
    assert all(source.startswith("data:image/png;base64,") for source in checker.images)
    assert page.count("<svg") == 12
    assert "<b>&" not in page
    assert "a & b" not in page
    assert "HyperReenact" in page
    assert page.count('<table class="numbers">') == 2 * (3 + 3) + 1
    assert page.count("In brackets") == 2
    for intervals in summary["intervals"].values():
        intervals.clear()
    page = html(summary, records, examples)
    assert "In brackets" not in page
    assert page.count("There are no confidence intervals") == 2


def test_a_page_without_true_pictures_leaves_their_plots_and_panels_out(summary, records, rows):
    for record in records:
        record["has_truth"] = False
        for reading in record["variants"].values():
            reading |= {"l1": None, "lpips": None}
    frames = {name: rows[0][name] for name in ("source", "target", "ours")}
    page = html(summary, records, [Example(record=records[0], frames=frames)])
    assert page.count("<svg") == 8
    assert page.count("<img") == 3
    assert "No pictures: num_examples is 0." in page  # of the other mode


def test_latex_closes_what_it_opens_and_escapes(summary):
    text = latex(summary, {"self": "Self", "cross": "Cross"})
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 6
    for part in text.split(r"\begin{tabular}")[1:]:
        rows = [line for line in part.splitlines() if line.endswith(r"\\")]
        assert len({row.replace(r"\&", "").count("&") for row in rows}) == 1
        assert len(rows) == 1 + len(ROWS)
    assert r"gaze\_error$\downarrow$ ($^\circ$)" in text
    assert r"a \& b & \textbf{0.2500}" in text


def test_csv_tables_keep_every_number(summary, records):
    lines = list(csv.DictReader(io.StringIO(table_csv(summary))))
    known = [m.name for m in METRICS if summary["self"]["ours"][m.name] is not None]
    assert len(lines) == 2 * len(ROWS) * len(known)
    first = next(line for line in lines if line["metric"] == "l1")
    assert float(first["value"]) == summary["self"]["ours"]["l1"]
    assert float(first["low"]) < float(first["value"]) < float(first["high"])
    videos = list(csv.DictReader(io.StringIO(videos_csv(records))))
    assert len(videos) == 2 * 6  # ours and fomm
    assert videos[0]["video"] == "self/a_0__0"
    assert float(videos[0]["l1"]) == pytest.approx(0.05)
    assert float(videos[0]["yaw_change_deg"]) == pytest.approx(3.5)


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


def test_the_names_of_a_plot_stand_apart():
    names = ["ours", "predictions", "networks", "warp_only", "copy_source", "oracle", "x" * 80]
    root = ElementTree.fromstring(scatter({name: [(1.0, 1.0)] for name in names}, "x", "y"))
    dots = [e for e in root.iter() if e.tag.endswith("circle") and e.get("r") == "5"]
    places = [(float(dot.get("cy")), float(dot.get("cx"))) for dot in dots]
    assert places == sorted(places)
    assert len({y for y, _ in places}) == 3
    for (y, x), (next_y, next_x), name in zip(places, places[1:], names, strict=False):
        assert next_y > y or next_x > x + 6 * len(name)
        assert next_y > y or next_x + 6 * len(name) < 460
    highest = min(float(e.get("cy")) for e in root.iter() if e.get("r") == "2")
    assert highest > places[-1][0]


@pytest.mark.parametrize("y", [0.0, 1e-5, 3.3, 480.0])
def test_scatter_takes_errors_of_any_size(y):
    assert ElementTree.fromstring(scatter({"ours": [(0.0, y)]}, "x", "y")) is not None


def test_contact_sheet_shows_every_panel(rows):
    sheet = contact_sheet(rows, {}, side=8)
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


@pytest.fixture
def report(tmp_path, summary, records, examples) -> Report:
    summary["meta"]["id"] = "abc"
    return Report(
        folder=tmp_path / "out",
        summary=summary,
        records=records,
        examples=examples,
        films=[],
        pairs="mode\n",
    )


def test_all_reports_are_written(report, tmp_path):
    write_reports(report, overwrite=False)
    written = {path.name: path.read_bytes() for path in report.folder.iterdir()}
    assert len(written) == 8
    assert json.loads(written["report.json"]) == report.summary
    assert read_frame(report.folder / "sheet.png").shape[0] > 100
    assert write_reports(report, overwrite=False).folder == report.folder
    assert written == {path.name: path.read_bytes() for path in report.folder.iterdir()}
    report.write_numbers(tmp_path / "docs" / "numbers.json")
    assert (tmp_path / "docs" / "numbers.json").read_bytes() == written["report.json"]


def test_reports_without_pictures(report):
    write_reports(replace(report, examples=[]), overwrite=False)
    assert (report.folder / "report.html").is_file()


def test_the_folder_of_a_report_has_a_plain_name(tmp_path):
    assert place_for(tmp_path, "a/b & c", "123").name == "a_b_c-123"
    check_free(tmp_path, "123", overwrite=False)
    (tmp_path / "report.json").write_text("no report")
    with pytest.raises(UserError, match="--overwrite"):
        check_free(tmp_path, "123", overwrite=False)


def test_an_output_that_cannot_be_written_is_a_user_error(report):
    report.folder.write_text("in the way")
    with pytest.raises(UserError, match="out"):
        write_reports(report, overwrite=False)


def test_the_difference_map_shows_where_and_how_much():
    a, b = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 100, np.uint8)
    b[1, 2] = [110, 100, 90]
    b[3, 3] = 255
    shown = difference_map(a, b)
    assert shown[1, 2].tolist() == [26, 26, 26]  # 4 x the mean of 10, 0 and 10
    assert shown[3, 3].tolist() == [255, 255, 255]
    assert np.count_nonzero(shown[..., 0]) == 2


def test_panels_of_several_methods_are_in_order():
    rows = [{"source": 0, "target": 0, "ours": 0, "reference": 0, "fomm": 0}, {"oracle": 0}]
    assert panels_of(rows) == ["source", "target", "ours", "fomm", "oracle", "reference"]
