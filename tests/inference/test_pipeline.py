import dataclasses
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffae import CheckpointError
from reenact.config import load_config
from reenact.errors import UserError
from reenact.face.params import FaceParams
from reenact.inference import compose, load
from reenact.inference.config import ReenactorConfig
from reenact.inference.inputs import open_target
from reenact.inference.motion import driving_faces
from reenact.inference.pipeline import reenact_files
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.clip import MediaClip
from reenact.media.images import read_frame
from reenact.media.video_reader import VideoReader

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "embedded" / "infer.yaml"


@pytest.fixture
def run(weights_path, fake_face, monkeypatch) -> InferRun:
    monkeypatch.setattr(load, "make_face_stack", lambda config, device: fake_face)
    return InferRun(
        weights=weights_path,
        output_size=48,
        compose="crop",
        max_side=64,
        motion="absolute",
        reenactor=ReenactorConfig(num_steps=2, encode_steps=2, batch_size=4, precision="fp32"),
    )


def frames_of(path: Path) -> np.ndarray:
    return np.stack(list(VideoReader(path)))


def test_frame_rate_frame_count_and_audio_survive(run, photo, make_clip, tmp_path):
    target = make_clip(num_frames=9, fps=Fraction(30000, 1001), audio=True)
    done = reenact_files(photo, target, tmp_path / "new" / "result.mp4", run, device="cpu")
    result = VideoReader(done.output)
    assert done.num_frames == result.num_frames == 9
    assert result.fps == Fraction(30000, 1001)
    assert result.has_audio
    assert (result.width, result.height) == (48, 48)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["result.mp4"]


def test_every_frame_keeps_its_own_time(run, photo, make_clip, tmp_path):
    times = [Fraction(i, 10) for i in range(5)] + [Fraction(15 + i, 30) for i in range(4)]
    target = make_clip(times=times, audio=True)
    reenact_files(photo, target, tmp_path / "result.mp4", run, device="cpu")
    assert VideoReader(tmp_path / "result.mp4").timeline.times == tuple(times)


def test_another_frame_rate_by_choice(run, photo, make_clip, tmp_path):
    target = make_clip(num_frames=6, fps=Fraction(12), audio=True)
    run = dataclasses.replace(run, fps=24.0)
    done = reenact_files(photo, target, tmp_path / "result.mp4", run, device="cpu")
    result = VideoReader(tmp_path / "result.mp4")
    assert (done.num_frames, result.num_frames, result.fps) == (12, 12, 24)
    with pytest.raises(UserError, match="fps: must be at least 1 and at most 240"):
        dataclasses.replace(run, fps=0.0)


def test_an_animated_picture_is_a_clip(run, photo, make_clip, tmp_path):
    target = tmp_path / "target.webp"
    pictures = [Image.fromarray(frame) for frame in frames_of(make_clip(num_frames=3))]
    pictures[0].save(target, save_all=True, append_images=pictures[1:], duration=[100, 300, 100])
    assert isinstance(open_target(target), MediaClip)
    reenact_files(photo, target, tmp_path / "result.mp4", run, device="cpu")
    times = VideoReader(tmp_path / "result.mp4").timeline.times
    assert times == (0, Fraction(1, 10), Fraction(4, 10))


def test_a_target_without_sound_gives_a_result_without(run, photo, make_clip, tmp_path):
    reenact_files(photo, make_clip(num_frames=2), tmp_path / "result.mp4", run, device="cpu")
    assert not VideoReader(tmp_path / "result.mp4").has_audio


def test_missing_faces_repeat_the_last_pose_with_one_warning(
    run, photo, make_clip, tmp_path, capsys, monkeypatch
):
    target = make_clip(num_frames=8, missing=(0, 3, 4))
    driven = []
    original = Reenactor.render

    def render(reenactor, state, faces):
        driven.append(faces)
        return original(reenactor, state, faces)

    monkeypatch.setattr(Reenactor, "render", render)
    reenact_files(photo, target, tmp_path / "result.mp4", run, device="cpu")
    warning = "warning: 3 of 8 target frames had no face; the last pose was kept\n"
    assert capsys.readouterr().err == warning
    assert VideoReader(tmp_path / "result.mp4").num_frames == 8
    x = FaceParams.cat(driven).translation[:, 0].tolist()
    assert x[0] == x[1]
    assert x[2] == x[3] == x[4]
    assert len(set(x)) == 5


def test_a_picture_as_target_gives_a_picture(run, photo, tmp_path):
    output = tmp_path / "result.png"
    done = reenact_files(photo, photo, output, run, device="cpu")
    assert done.num_frames == 1
    assert read_frame(output).shape == (48, 48, 3)


def test_grid_shows_source_target_and_result(run, photo, make_clip, tmp_path):
    target = make_clip(num_frames=5)
    reenact_files(photo, target, tmp_path / "grid.mp4", run, device="cpu", grid=True)
    reenact_files(photo, target, tmp_path / "plain.mp4", run, device="cpu")
    grid, plain = frames_of(tmp_path / "grid.mp4"), frames_of(tmp_path / "plain.mp4")
    assert grid.shape == (5, 48, 144, 3)
    assert np.abs(grid[:, :, 96:].astype(int) - plain).mean() < 4
    # The left third is the source crop: bright skin in the middle, in every frame.
    assert (grid[:, 20:28, 20:28, 0] > 180).all()
    assert (grid[:, 20:28, 68:76, 0] > 180).all()


def test_a_result_in_the_photo_changes_the_face_only(run, photo, make_clip, tmp_path):
    run = dataclasses.replace(run, compose="photo", max_side=1000)
    reenact_files(photo, photo, tmp_path / "result.png", run, device="cpu")
    before, after = read_frame(photo), read_frame(tmp_path / "result.png")
    assert after.shape == before.shape
    assert (before != after).any()
    assert np.array_equal(before[:, -6:], after[:, -6:])


def test_a_large_photo_is_shrunk_for_a_video(run, photo, make_clip, tmp_path):
    run = dataclasses.replace(run, compose="photo", max_side=64)
    reenact_files(photo, make_clip(num_frames=2), tmp_path / "result.mp4", run, device="cpu")
    result = VideoReader(tmp_path / "result.mp4")
    assert (result.width, result.height) == (64, 54)  # 96 x 80 -> 64 x 53, made even


def test_relative_motion_starts_with_the_sources_own_pose(run, photo, make_clip, tmp_path):
    target, run = make_clip(num_frames=4, missing=(0,)), dataclasses.replace(run, motion="relative")
    reenactor = Reenactor.load(run.weights, config=run.reenactor, device="cpu")
    source = reenactor.find(read_frame(photo))
    motion = reenactor.track(open_target(target))
    driven = driving_faces(reenactor.face, source, motion, run)
    torch.testing.assert_close(driven.translation[1:2], source.params.translation)
    torch.testing.assert_close(driven.scale[1:2], source.params.scale)
    params = motion.tracked.params
    moved = params.rotation[3] - params.rotation[1]
    torch.testing.assert_close(driven.rotation[3], source.params.rotation[0] + moved)
    absolute = driving_faces(
        reenactor.face, source, motion, dataclasses.replace(run, motion="absolute")
    )
    assert torch.equal(absolute.translation, params.translation)
    assert torch.equal(absolute.identity, source.params.identity.expand(4, -1))


def test_results_do_not_depend_on_the_batch_size(run, photo, make_clip, tmp_path):
    target = make_clip(num_frames=5)
    frames = []
    for batch_size in (2, 5):
        reenactor = dataclasses.replace(run.reenactor, batch_size=batch_size, x_T="mixed")
        path = tmp_path / f"{batch_size}.mp4"
        reenact_files(
            photo, target, path, dataclasses.replace(run, reenactor=reenactor), device="cpu"
        )
        frames.append(frames_of(path))
    # The encoder amplifies a rounding difference of one level here and there.
    assert np.abs(frames[0].astype(int) - frames[1]).mean() < 0.2


def _empty_photo(tmp_path: Path) -> Path:
    path = tmp_path / "wall.png"
    Image.fromarray(np.full((80, 96, 3), 30, np.uint8)).save(path)
    return path


def test_error_lines(run, photo, make_clip, tmp_path):
    clip = make_clip(num_frames=3)
    faceless = make_clip(num_frames=3, missing=range(3), name="faceless.mp4")
    wall = _empty_photo(tmp_path)
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:400])
    cut_photo = tmp_path / "cut.png"
    cut_photo.write_bytes(photo.read_bytes()[:200])
    folder = tmp_path / "folder"
    folder.mkdir()
    before = sorted(p.name for p in tmp_path.rglob("*"))
    result = tmp_path / "out" / "result.mp4"
    cases = [
        (tmp_path / "none.png", clip, result, "none.png: no such file"),
        (cut_photo, clip, result, "cut.png: the picture is damaged"),
        (text, clip, result, "notes.mp4: is not a video"),
        (wall, clip, result, "wall.png: no face found"),
        (photo, tmp_path / "none.mp4", result, "none.mp4: no such file"),
        (photo, text, result, "notes.mp4: "),
        (photo, empty, result, "empty.mp4: the file is empty"),
        (photo, cut, result, "cut.mp4: "),
        (photo, faceless, result, "faceless.mp4: no face found in 3 frames"),
        (photo, wall, result.with_suffix(".png"), "wall.png: no face found in the picture"),
        (photo, clip, result.with_suffix(".avi"), "result.avi: cannot write this kind of file"),
        (photo, wall, result, "result.mp4: cannot write this kind of file"),
        (photo, clip, clip, "clip.mp4: would overwrite the target"),
        (photo, wall, folder / ".." / "photo.png", "would overwrite the source"),
        (photo, clip, folder, "is a folder"),
        (photo, clip, wall / "result.mp4", "is not a folder"),
    ]
    for source, target, output, message in cases:
        with pytest.raises(UserError) as error:
            reenact_files(source, target, output, run, device="cpu")
        assert message in str(error.value), (str(error.value), message)
        assert "\n" not in str(error.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_an_error_while_rendering_leaves_no_file(run, photo, make_clip, tmp_path, monkeypatch):
    target = make_clip(num_frames=9)

    def broken(images, size, levels):
        if broken.calls == 5:
            raise UserError("no more")
        broken.calls += 1
        return original(images, size, levels)

    original, broken.calls = compose.resized_frames, 0
    monkeypatch.setattr(compose, "resized_frames", broken)
    with pytest.raises(UserError, match="no more"):
        reenact_files(photo, target, tmp_path / "out" / "result.mp4", run, device="cpu")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_shipped_config_loads():
    run = load_config(CONFIG, InferRun)
    assert run == InferRun(), "the file shows the defaults"
    for text in ("output_size=8", "reenactor.x_T=pure", "reenactor.num_steps=1001", "speed=2"):
        with pytest.raises(UserError):
            load_config(CONFIG, InferRun, [text])


def infer(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "infer.py"), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_cli_errors_are_one_line(photo, tmp_path):
    done = infer(photo, tmp_path / "missing.mp4", "--output", tmp_path / "result.mp4")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/missing.mp4: no such file, check the path\n"
    assert done.stdout == ""
    config = tmp_path / "infer.yaml"
    config.write_text(CONFIG.read_text().replace("output_size", "outputsize"))
    done = infer(photo, photo, "--config", config, "--output", tmp_path / "result.png")
    assert done.returncode == 1
    assert "unknown key 'outputsize', did you mean 'output_size'?" in done.stderr
    assert not (tmp_path / "result.png").exists()


def test_weights_of_another_kind_are_refused(run, tmp_path, weights_path):
    text, half = tmp_path / "text.safetensors", tmp_path / "half.safetensors"
    text.write_bytes(b"no tensors")
    half.write_bytes(weights_path.read_bytes()[:-1000])
    for path in (text, half):
        with pytest.raises(CheckpointError, match="not a readable"):
            Reenactor.load(path, config=run.reenactor, device="cpu")


def test_a_photo_driven_by_itself_comes_back_sharp(run, photo, fake_face, tmp_path):
    """Carried detail has the pixels of the result, more than the model's 32."""
    config = dataclasses.replace(run.reenactor, x_T="moved", carry_detail=True)
    run = dataclasses.replace(run, reenactor=config, motion="relative", output_size=96)
    reenact_files(photo, photo, tmp_path / "result.png", run, device="cpu")
    face = fake_face.source_face(read_frame(photo), 32)
    wanted = fake_face.cut(face.photo, face.crop.resized(96)).astype(int)
    difference = np.abs(read_frame(tmp_path / "result.png") - wanted)
    assert difference.max() <= 4
    assert np.abs(wanted - wanted.mean((0, 1))).mean() > 10, "the photo shows something"


@pytest.mark.parametrize("change", [{"x_T": "moved"}, {"carry_detail": True}])
def test_the_head_models_motion_needs_the_open_stack(run, change):
    face = load_config(ROOT / "configs" / "released.yaml", InferRun).face
    config = dataclasses.replace(run.reenactor, **change)
    with pytest.raises(UserError, match="set x_T to source and carry_detail to false"):
        Reenactor.load(None, config=config, device="cpu", face=face)
