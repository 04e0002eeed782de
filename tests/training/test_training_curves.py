"""The page of curves: every logged value is there, at the right place."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from reenact.errors import UserError
from reenact.training.curves import MAX_POINTS, chart, read_charts, thinned, write_curves
from reenact.training.loop import train


def test_the_page_of_a_run_shows_losses_validation_and_the_last_preview(make_run):
    run = make_run()
    logging = dataclasses.replace(run.logging, validate_every=2, preview_every=4)
    train(dataclasses.replace(run, logging=logging), torch.device("cpu"))
    charts = read_charts(run.run_dir)
    assert {kind: [step for step, _ in points] for kind, points in charts["loss"].items()} == {
        "train": [1, 2, 3, 4],
        "val": [2, 4],
    }
    text = write_curves(run.run_dir).read_text()
    titles = re.findall("<figcaption>(.*?)</figcaption>", text)
    assert titles[0] == "loss"
    assert set(titles) == set(charts) >= {"grad_norm", "lr", "l1_autoencoded"}
    assert 'src="previews/preview_0000004.png"' in text
    assert "&quot;num_steps&quot;: 4" in text


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The points of every curve of a chart."""
    root = ElementTree.fromstring(svg)
    curves = root.findall("{http://www.w3.org/2000/svg}polyline")
    texts = [curve.attrib["points"].split() for curve in curves]
    return [[tuple(map(float, point.split(","))) for point in text] for text in texts]


def test_equal_steps_and_values_lie_evenly_and_large_ranges_are_logarithmic():
    ((a, b, c),) = lines(chart({"train": [(0, 1), (10, 2), (20, 3)]}))
    assert a[0] < b[0] < c[0]
    assert a[1] > b[1] > c[1]  # larger values stand higher
    assert b == pytest.approx(((a[0] + c[0]) / 2, (a[1] + c[1]) / 2), abs=0.1)
    ((a, b, c),) = lines(chart({"train": [(0, 1), (10, 100), (20, 10_000)]}))
    assert b[1] == pytest.approx((a[1] + c[1]) / 2, abs=0.1)
    assert lines(chart({"train": [(5, 2.0)]}))  # one point of a constant


def test_long_curves_become_means_of_their_parts():
    points = [(float(i), float(i % 2)) for i in range(10 * MAX_POINTS)]
    short = thinned(points)
    assert len(short) == MAX_POINTS
    assert {value for _, value in short} == {0.5}


def test_a_folder_without_records_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"holds no metrics\.jsonl, give the run_dir"):
        write_curves(tmp_path)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("")
    with pytest.raises(UserError, match="is empty, wait for the first records"):
        write_curves(tmp_path)
    metrics.write_text(json.dumps({"step": 1, "loss": 1}) + "\n[1]\n")
    with pytest.raises(UserError, match="line 2 is not a record"):
        write_curves(tmp_path)
