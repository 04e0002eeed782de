"""A video as the source: whose expression and pose, which frames, whose sound."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch

from reenact.errors import UserError
from reenact.inference import load
from reenact.inference.config import ReenactorConfig
from reenact.inference.motion import MotionOptions
from reenact.inference.pipeline import reenact_files
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.inference.video_source import driven_video
from reenact.media.timeline import constant_timeline
from reenact.media.video_reader import VideoReader
from tests.inference.conftest import disk_frame
from tools.fuzz import material

SOURCE = [disk_frame(40, 40, 16 + 0.5 * i) for i in range(6)]
TARGET = [disk_frame(35 + 2 * i, 44, 14) for i in range(6)]


@pytest.fixture
def reenactor(weights_path, fake_face, monkeypatch) -> Reenactor:
    monkeypatch.setattr(load, "make_face_stack", lambda config, device: fake_face)
    config = ReenactorConfig(precision="fp32", batch_size=2)
    return Reenactor.load(weights_path, config=config, device="cpu")


def test_the_pose_is_kept_or_taken(reenactor):
    own, target = reenactor.track(SOURCE), reenactor.track(TARGET)
    target.tracked.params.rotation[:] = 0.2
    params = own.tracked.params
    keep = driven_video(reenactor.face, own, target, MotionOptions(), "keep").driven
    for name in ("rotation", "translation", "scale"):
        torch.testing.assert_close(getattr(keep, name), getattr(params, name))
    torch.testing.assert_close(keep.expression, target.tracked.params.expression)
    take = driven_video(reenactor.face, own, target, MotionOptions(), "take").driven
    torch.testing.assert_close(take.rotation, target.tracked.params.rotation)
    torch.testing.assert_close(take.translation, target.tracked.params.translation)
    mouth = driven_video(reenactor.face, own, target, MotionOptions(region="mouth"), "take").driven
    torch.testing.assert_close(mouth.rotation, params.rotation)
    relative = MotionOptions(motion="relative")
    moved = driven_video(reenactor.face, own, target, relative, "keep").driven
    torch.testing.assert_close(moved.expression[0], params.expression[0])


def test_frames_meet_at_the_same_time_and_the_shorter_video_ends_the_result(reenactor, capsys):
    own, target = reenactor.track(SOURCE, fps=10), reenactor.track(TARGET, fps=20)
    target.tracked.params.expression[:, 1] = torch.arange(6) / 10
    video = driven_video(reenactor.face, own, target, MotionOptions(), "keep")
    torch.testing.assert_close(video.driven.expression[:, 1], torch.tensor([0.0, 0.2, 0.4]))
    warning = (
        "the source video ends at 0.6 s, the target at 0.3 s; the result ends with the shorter"
    )
    assert capsys.readouterr().err == f"warning: {warning} one\n"
    long = dataclasses.replace(target, timeline=constant_timeline(6, Fraction(10)))
    assert len(driven_video(reenactor.face, own, long, MotionOptions(), "keep")) == 6
    assert capsys.readouterr().err == ""
    picture = reenactor.track(TARGET[3])
    assert len(driven_video(reenactor.face, own, picture, MotionOptions(), "keep")) == 6


def test_frames_without_the_person_stay_as_they_are(reenactor, capsys):
    source = [*SOURCE[:2], disk_frame(40, 40, 0), *SOURCE[2:]]
    frames = list(reenactor.animate_video(iter(source), [*TARGET, TARGET[-1]]))
    assert len(frames) == 7
    assert np.array_equal(frames[2], source[2])
    assert not np.array_equal(frames[1], source[1])
    assert capsys.readouterr().err == (
        "warning: 1 of 7 source frames had no face; they stay as they are\n"
    )
    crops = list(reenactor.animate_video(source, TARGET[0], compose="crop", output_size=40))
    assert {crop.shape for crop in crops} == {(40, 40, 3)}
    with pytest.raises(UserError, match="compose: a source video needs photo or crop"):
        reenactor.animate_video(source, TARGET[0], compose="follow")


def test_a_video_driven_by_itself_is_itself(tmp_path):
    weights = material.write_weights(tmp_path / "tiny.safetensors")
    config = ReenactorConfig(carry_detail=True, x_T="source", precision="fp32")
    reenactor = Reenactor.load(weights, config=config, device="cpu")
    frames = material.frames()
    for pose in ("keep", "take"):
        results = list(reenactor.animate_video(frames, list(frames), source_pose=pose))
        assert len(results) == len(frames)
        for result, frame in zip(results, frames, strict=True):
            assert np.abs(result.astype(int) - frame).max() <= 2


@pytest.mark.parametrize(("sound", "rate"), [("source", 44100), ("target", None), ("none", None)])
def test_a_source_video_in_a_file(
    sound, rate, weights_path, fake_face, monkeypatch, make_clip, tmp_path, capsys
):
    monkeypatch.setattr(load, "make_face_stack", lambda config, device: fake_face)
    source = make_clip(num_frames=8, fps=Fraction(20), audio=True, name="source.mp4")
    target = make_clip(num_frames=5, fps=Fraction(10), name="target.mp4")
    run = InferRun(
        weights=weights_path, sound=sound, reenactor=ReenactorConfig(precision="fp32"), repeat=2
    )
    done = reenact_files(source, target, tmp_path / "result.mp4", run, device="cpu")
    result = VideoReader(done.output)
    assert (done.num_frames, result.num_frames, result.fps) == (8, 8, 20)
    assert (result.width, result.height) == (96, 80)
    assert result.has_audio == (rate is not None)
    assert capsys.readouterr().err.count("ends with the shorter one") == 1
    part = dataclasses.replace(run, max_frames=3, repeat=1)
    assert reenact_files(source, target, done.output, part, device="cpu").num_frames == 3
    for change, message in (
        ({"targets": [target, target]}, "a source video takes one target with one face, got 2"),
        ({"grid": True}, "no grid can be made of a source video"),
    ):
        options = {"targets": target} | change
        with pytest.raises(UserError, match=message):
            reenact_files(source, output=done.output, run=run, device="cpu", **options)


def test_a_frame_without_the_person_has_the_background_alone(tmp_path):
    weights = material.write_weights(tmp_path / "tiny.safetensors")
    config = ReenactorConfig(carry_detail=True, x_T="source", precision="fp32")
    reenactor = Reenactor.load(weights, config=config, device="cpu")
    frames = [material.frames()[0], np.zeros_like(material.frames()[0])]
    target = frames[0]
    for background, planes in (("transparent", 4), ("#00ff00", 3)):
        shown, empty = reenactor.animate_video(frames, target, background=background)
        assert shown.shape[2] == empty.shape[2] == planes
        assert (empty == ([0, 0, 0, 0] if planes == 4 else [0, 255, 0])).all()
