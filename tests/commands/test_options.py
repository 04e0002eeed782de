"""Every option of the commands that animate is a key of the config, and acts as that key does."""

import dataclasses
import inspect
import itertools
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from reenact.assets import asset_path
from reenact.commands import infer
from reenact.commands.animating import KEYS, given_options, option_of
from reenact.commands.arguments import Parser, read_config
from reenact.commands.main import run_command
from reenact.errors import UsageError
from reenact.inference.motion import Motion
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import AnimateOptions, InferRun
from reenact.media.images import read_frame
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter
from tools.fuzz import material

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {
    "start": 0.5,
    "end": 2.25,
    "max_frames": 7,
    "fps": 29.97,
    "repeat": 3,
    "pingpong": True,
    "smoothing": 0.00001,
    "motion": "relative",
    "motion_reference": 4,
    "region": "mouth",
    "pose_strength": 0.5,
    "expression_strength": 1.5,
    "gaze_strength": 0.0,
    "eye_retargeting": True,
    "lip_retargeting": True,
    "source_face": 2,
    "target_face": "leftmost",
    "background": "transparent",
    "source_pose": "take",
    "compose": "crop",
    "output_size": 512,
    "max_side": 640,
    "sound": "none",
    "label": True,
    "c2pa_certificate": Path("chain.pem"),
    "c2pa_key": Path("key.pem"),
    "reenactor.num_steps": 3,
    "reenactor.precision": "fp32",
    "reenactor.seed": 5,
}


def parser() -> Parser:
    made = Parser("infer", "")
    infer.add_arguments(made)
    return made


def value_of(run: InferRun, key: str) -> object:
    value: object = run
    for name in key.split("."):
        value = getattr(value, name)
    return value


def test_every_option_reaches_its_key():
    assert set(EXAMPLES) == set(KEYS)
    words: list[str] = []
    for key, value in EXAMPLES.items():
        words += [option_of(key)] if value is True else [option_of(key), str(value)]
    arguments = parser().parse_args(words)
    run = read_config(arguments, InferRun, given_options(arguments))
    for key, value in EXAMPLES.items():
        assert value_of(run, key) == value


def test_without_options_the_config_decides():
    arguments = parser().parse_args([])
    assert given_options(arguments) == {}
    assert read_config(arguments, InferRun, {}) == InferRun()


def test_the_help_of_a_group_shows_its_options_and_that_of_all_shows_every_one():
    everyday = parser().help_of(None)
    assert "--from SECONDS" in everyday
    assert "--region" not in everyday
    for title, option in (
        ("motion", "--region PART"),
        ("faces", "--source-face FACE"),
        ("output", "--background WHAT"),
        ("expert", "--set KEY=VALUE"),
    ):
        assert f"  --help {title} " in everyday
        assert option in parser().help_of(title)
        assert "--from SECONDS" not in parser().help_of(title)
    everything = parser().help_of("all")
    for action in parser()._actions:
        assert action.dest == "==SUPPRESS==" or (action.help or "")[:20] in everything, action.dest


def test_help_takes_the_name_of_a_group(capsys):
    for words in (["--help", "faces"], ["-h", "all"]):
        with pytest.raises(SystemExit) as stop:
            parser().parse_args(words)
        assert stop.value.code == 0
    message = "there is no group 'nose', choose everyday, motion, faces, output, expert, all"
    with pytest.raises(UsageError, match=message):
        parser().parse_args(["--help", "nose"])


def test_the_help_says_the_true_defaults():
    helps = {a.dest: a.help or "" for a in parser()._actions if a.option_strings != ["--relative"]}
    for key in KEYS:
        said = re.search(r"\(default: (.*)\)", helps[key])
        default = value_of(InferRun(), key)
        if said is None:
            assert default is False, key
        elif default is not None:
            assert said[1] == (f"{default:g}" if isinstance(default, float) else str(default)), key


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fps", "0"), "--fps: must be at least 1 and at most 240, got 0"),
        (("--from", "-1"), "--from: must be at least 0, got -1"),
        (("--num-steps", "0"), "--num-steps: must be at least 1 and at most 1000, got 0"),
        (("--pose-strength", "3"), "--pose-strength: must be at least 0 and at most 2, got 3"),
        (("--set=fps=0", "--fps", "5"), "--set fps: must be at least 1 and at most 240, got 0"),
    ],
)
def test_a_wrong_value_names_the_option(tmp_path: Path, words, message: str, capsys):
    photo = material.write_photo(tmp_path / "face.png")
    assert run_command("infer", "infer", [str(photo), str(photo), *words]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return f"--set=weights={material.write_weights(tmp_path / 'tiny.safetensors')}"


def test_a_part_of_a_clip_and_of_its_motion_file(tmp_path: Path, weights: str):
    photo, clip = material.write_photo(tmp_path / "face.png"), tmp_path / "clip.mp4"
    with VideoWriter(clip, width=128, height=128, fps=Fraction(10)) as writer:
        for i in range(8):
            writer.write(material.frames()[i % material.NUM_FRAMES])
    motion = tmp_path / "clip.motion.safetensors"
    assert run_command("motion", "motion", [str(clip), "--output", str(motion), weights]) == 0
    results = []
    for target in (clip, motion):
        result = tmp_path / f"{target.suffix[1:]}.mp4"
        words = [str(photo), str(target), "--output", str(result), weights, "--output-size", "32"]
        words += ["--from", "0.2", "--to", "0.7", "--fps", "20", "--max-frames", "6"]
        assert run_command("infer", "infer", words) == 0
        results.append(VideoReader(result))
    for result in results:
        assert result.timeline.times == tuple(Fraction(i, 20) for i in range(6))


def test_sound_and_label_by_choice(tmp_path: Path, weights: str):
    photo, clip = material.write_photo(tmp_path / "face.png"), tmp_path / "sound.mp4"
    with av.open(str(clip), "w") as file:
        video, sound = file.add_stream("libx264", rate=10), file.add_stream("aac", rate=44100)
        video.width, video.height, video.pix_fmt = 128, 128, "yuv420p"
        for frame in material.frames():
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(video.encode(None))
        samples = np.zeros((1, 16384), np.float32)
        part = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        part.rate = 44100
        file.mux(sound.encode(part))
        file.mux(sound.encode(None))
    plain = [str(photo), str(clip), weights, "--output-size", "32"]
    with_sound, silent = tmp_path / "a.mp4", tmp_path / "b.mp4"
    assert run_command("infer", "infer", [*plain, "--output", str(with_sound)]) == 0
    assert run_command("infer", "infer", [*plain, "--output", str(silent), "--sound", "none"]) == 0
    assert VideoReader(with_sound).has_audio
    assert not VideoReader(silent).has_audio

    pictures = []
    for words in ([], ["--label"]):
        output = tmp_path / f"{len(words)}.png"
        words = [str(photo), str(photo), weights, "--output", str(output), *words]
        assert run_command("infer", "infer", words) == 0
        pictures.append(read_frame(output).astype(int))
    difference = np.abs(pictures[1] - pictures[0]).max(-1)
    assert difference[-20:, -60:].max() > 60
    assert difference[:-40].max() == 0


def test_a_part_that_ends_before_it_starts_is_refused_at_once(capsys):
    photo = str(asset_path("demo_source.png"))
    for words, problem in (
        (("--from", "5", "--to", "2"), "must be later than the start at 5 s, got 2 s"),
        (("--to", "0"), "must be later than the start at 0 s, got 0 s"),
    ):
        assert run_command("infer", "infer", [photo, "@nod", *words]) == 1
        assert capsys.readouterr().err == f"error: --to: {problem}\n"


def test_a_face_that_is_not_there_is_one_line(tmp_path: Path, weights: str, capsys):
    photo = material.write_photo(tmp_path / "face.png")
    output = tmp_path / "result.png"
    plain = [str(photo), str(photo), weights, "--output", str(output)]
    for option, value, message in (
        ("--source-face", "7", f"{photo}: face 7 was chosen, but the picture has 1 face: choose 1"),
        ("--target-face", "7", f"{photo}: face 7 was chosen, but the picture has 1 face: choose 1"),
        ("--source-face", "nobody", "source_face 'nobody': choose largest, leftmost"),
        ("--source-face", "x" * 300, f"source_face '{'x' * 300}': choose largest, leftmost"),
    ):
        assert run_command("infer", "infer", [*plain, option, value]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {message}"), error
        assert error.count("\n") == 1
    assert run_command("infer", "infer", [*plain, "--source-face", str(photo)]) == 0
    assert output.exists()


def test_python_has_the_options_under_the_same_names():
    """The page is compared in tests/web/test_web_parts.py."""
    documented = (ROOT / "docs/python.md").read_text()
    table = documented[documented.index("| about | options |") :].splitlines()[2:]
    rows = [row.split("|") for row in itertools.takewhile(bool, table)]
    said = {name: row[3] for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    assert set(said) == {key for key in KEYS if "." not in key} | {"levels"}
    places: dict[str, Callable[..., Any]] = {
        "animate": Reenactor.animate,
        "animate_video": Reenactor.animate_video,
        "track": Reenactor.track,
        "VideoReader": VideoReader.__init__,
        "motion.part": Motion.part,
        "motion.repeated": Motion.repeated,
        "InferRun": InferRun,
    }
    options = {field.name for field in dataclasses.fields(AnimateOptions)}
    for name, where in said.items():
        for place, call in places.items():
            if re.search(rf"`{re.escape(place)}[`(]", where):
                takes = set(inspect.signature(call).parameters)
                takes |= options if "options" in takes else set()
                assert name in takes, (name, place)


def test_keys_are_fields():
    names = {field.name for field in dataclasses.fields(InferRun)}
    assert {key.split(".")[0] for key in KEYS} <= names
