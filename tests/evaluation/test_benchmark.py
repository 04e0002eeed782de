import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reenact.data.synthetic.clips import clip_name
from reenact.data.synthetic.generate import write_clip
from reenact.data.synthetic.renderer import Renderer
from reenact.errors import UserError
from reenact.evaluation.benchmark import spec as spec_module
from reenact.evaluation.benchmark import write as write_module
from reenact.evaluation.benchmark.spec import (
    LEVEL_TOLERANCE,
    SIZES,
    THUMBNAIL,
    config_of,
    level_difference,
    parameters_differ,
    read_spec,
    thumbnail,
    thumbnails_path,
)
from reenact.evaluation.benchmark.write import write_benchmark
from reenact.media.images import read_frame
from tools import measure_benchmark

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_benchmark_is_complete():
    spec = read_spec()
    clips = [clip for track in spec.tracks.values() for clip in track]
    assert list(spec.tracks) == ["everyday", "turns", "expressions"]
    assert len(clips) == len(set(clips)) == 24
    assert spec.parameters.keys() == {str(clip) for clip in clips}
    for size in SIZES:
        assert Image.open(thumbnails_path(size)).size == (24 * THUMBNAIL, 2 * THUMBNAIL)


def test_everybody_is_source_and_target_once():
    pairs = read_spec().pairs("turns")
    assert all(source != target for source, target in pairs)
    assert sorted(source for source, _ in pairs) == sorted(target for _, target in pairs)


def test_a_thumbnail_keeps_the_mean():
    frame = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert thumbnail(frame).mean() == pytest.approx(frame.mean(), abs=0.5)


def test_an_unknown_track_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="the tracks are everyday, turns, expressions"):
        write_benchmark(tmp_path, 128, ["portraits"])


def test_the_page_shows_the_committed_numbers():
    numbers = json.loads(measure_benchmark.NUMBERS.read_text())
    page = measure_benchmark.PAGE.read_text(encoding="utf-8")
    text = measure_benchmark.section(numbers)
    assert measure_benchmark.with_section(page, text) == page
    for track, modes in numbers["tracks"].items():
        for mode, parts in modes.items():
            assert f"| {track}: {mode} |" in text
            for row, values in parts["rows"].items():
                assert f"| {track}: {row} | {values['lpips']:.3f} | {values['l1']:.4f} |" in text
    with pytest.raises(UserError, match="lacks the lines <!-- numbers -->"):
        measure_benchmark.with_section(page.replace("<!-- numbers -->", ""), text)


def test_published_numbers_belong_to_a_commit(tmp_path):
    with pytest.raises(UserError, match="use a git clone"):
        measure_benchmark.revision(tmp_path)
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    (tmp_path / "docs").mkdir()
    for path in ("code.py", "docs/page.md"):
        (tmp_path / path).write_text("1")
    for command in (("init", "-q"), ("add", "-A"), (*name, "commit", "-qm", "1")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "docs/page.md").write_text("2")  # the last table, which may be replaced
    assert len(measure_benchmark.revision(tmp_path)) == 12
    (tmp_path / "code.py").write_text("2")
    with pytest.raises(UserError, match="commit them first"):
        measure_benchmark.revision(tmp_path)


@pytest.mark.slow
def test_the_generator_still_gives_the_committed_parameters():
    """Fails when the generator changes. Then the benchmark needs a new version."""
    spec = read_spec()
    assert [clip for clip in spec.parameters if parameters_differ(spec, int(clip))] == []


@pytest.mark.slow
def test_the_generator_still_draws_the_committed_pictures(tmp_path):
    """Fails when the generator changes. Then the benchmark needs a new version."""
    spec = read_spec()
    for clip in (clips[0] for clips in spec.tracks.values()):
        config = config_of(tmp_path, 128, [clip])
        write_clip(config, clip, Renderer(), [])
        frames = np.load(tmp_path / clip_name(config, clip) / "frames.npy")
        assert level_difference(spec, 128, clip, frames) <= LEVEL_TOLERANCE
        assert level_difference(spec, 128, clip, 255 - frames) > 10


@pytest.mark.slow
def test_the_truth_scores_as_perfect(tmp_path, monkeypatch, capsys):
    spec = read_spec()
    few = replace(spec, tracks={"turns": spec.tracks["turns"][:2]})
    monkeypatch.setattr(write_module, "read_spec", lambda: few)
    monkeypatch.setattr(write_module, "level_difference", lambda *arguments: 0.0)
    for module in (spec_module, write_module):
        monkeypatch.setattr(module, "NUM_FRAMES", 9)
    write_benchmark(tmp_path / "set", 64, ["turns"])
    track = tmp_path / "set" / "turns"
    rows = (track / "videos.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2
    for row in rows[1:]:
        name, source, target, result = row.split(",")
        assert (track / source).is_file()
        assert (track / target).is_file()
        small, wide = (read_frame(track / p) for p in (source, f"{name}/photo.png"))
        assert (wide[32:96, 32:96] == small).all(), "the source is the middle of the photo"
        shutil.copytree(track / name / "truth", tmp_path / "mine" / result.removesuffix(".mp4"))
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=track, check=True)
    subprocess.run(
        [
            *(sys.executable, "eval.py", "--config", "configs/benchmark/eval.yaml"),
            *("--only-predictions", "--device", "cpu", "--output", str(tmp_path / "out")),
            *("--set", f"data.folder={track}/clips", "--predictions", f"mine={tmp_path}/mine"),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["meta"]["num_pairs"] == {"self": 4, "cross": 6}
    for mode in ("self", "cross"):
        assert report[mode]["mine"]["l1"] == 0
        assert report[mode]["copy_source"]["l1"] > 0.01
