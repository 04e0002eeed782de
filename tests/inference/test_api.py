"""The reenactor from Python: pictures in memory, generators in and out."""

import dataclasses
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reenact.errors import UserError
from reenact.inference import load
from reenact.inference.compose import COMPOSITIONS
from reenact.inference.config import ReenactorConfig
from reenact.inference.motion import driving_faces
from reenact.inference.motion_file import save_motion
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import AnimateOptions
from reenact.media.video_reader import VideoReader
from reenact.threads import MOST_WORKERS
from tests.inference.conftest import FakeFaceStack, disk_frame
from tools.fuzz import material

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "python.md"
PHOTO = disk_frame(50, 40, 17)
SQUARE = {"compose": "crop", "output_size": 48}
TARGET = [disk_frame(35 + 2 * i, 40, 16) for i in range(5)]


@pytest.fixture
def reenactor(weights_path, fake_face, monkeypatch) -> Reenactor:
    monkeypatch.setattr(load, "make_face_stack", lambda config, device: fake_face)
    config = ReenactorConfig(precision="fp32", batch_size=2)
    return Reenactor.load(weights_path, config=config, device="cpu")


def test_arrays_pil_images_generators_and_motions_give_the_same(reenactor):
    wanted = np.stack(list(reenactor.animate(PHOTO, TARGET, **SQUARE)))
    assert wanted.shape == (5, 48, 48, 3)
    assert wanted.dtype == np.uint8
    assert (wanted[0] != wanted[4]).any()
    motion = reenactor.track(frame for frame in TARGET)
    photos = [Image.fromarray(PHOTO), Image.fromarray(PHOTO).convert("RGBA"), reenactor.find(PHOTO)]
    for photo in photos:
        assert np.array_equal(list(reenactor.animate(photo, motion, **SQUARE)), wanted)
    pictures = (Image.fromarray(frame) for frame in TARGET)
    assert np.array_equal(list(reenactor.animate(PHOTO, pictures, **SQUARE)), wanted)
    assert np.array_equal(list(reenactor.animate(PHOTO, np.stack(TARGET), **SQUARE)), wanted)


def test_paths_are_read_as_what_they_are(reenactor, make_clip, tmp_path, capsys):
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    Image.fromarray(PHOTO).save(photo)
    Image.fromarray(TARGET[1]).save(other)
    clip, motion_file = make_clip(num_frames=4), tmp_path / "clip.motion.safetensors"
    save_motion(reenactor.track(VideoReader(clip)), motion_file)
    wanted = np.stack(list(reenactor.animate(PHOTO, VideoReader(clip), **SQUARE)))
    for target in (clip, str(clip), motion_file):
        assert np.array_equal(list(reenactor.animate(str(photo), target, **SQUARE)), wanted)
    video = reenactor.animate_video(str(clip), other)
    assert np.array_equal(list(video), list(reenactor.animate_video(VideoReader(clip), TARGET[1])))
    assert reenactor.track(other).is_picture
    assert len(reenactor.track([photo, other])) == 2
    assert len(reenactor.track(clip, fps=12.5)) == 2, "as --fps does it"
    assert capsys.readouterr().err == ""
    reenactor.track(motion_file, smoothing=2)
    line = "its motion is tracked: target_face and smoothing change nothing"
    assert capsys.readouterr().err == f"warning: {motion_file}: {line}\n"


def test_names_of_motions_and_of_reference_pictures(tmp_path, monkeypatch):
    reenactor = Reenactor.load(material.write_weights(tmp_path / "tiny.safetensors"), device="cpu")
    path, frame = material.write_photo(tmp_path / "face.png"), np.asarray(material.face())
    source = reenactor.find(path)
    group = next(reenactor.animate_all(str(path), ["@nod"]))
    assert np.array_equal(group, next(reenactor.animate_all([source], reenactor.track("@nod"))))
    both = np.concatenate([np.full_like(frame, 30), frame], 1)
    assert reenactor.find(both, which=path).crop.zoom == reenactor.find(both).crop.zoom
    with pytest.raises(UserError, match="face 2 was chosen, but the picture has 1"):
        reenactor.pose(both, source_face=2)
    with pytest.raises(UserError, match="target_face 'nobody': choose largest"):
        reenactor.track(both, which="nobody")
    with pytest.raises(UserError, match="there are @blink"):
        reenactor.track("@fly")
    monkeypatch.setattr(reenactor, "frames", lambda source, motion, options: options.motion)
    assert reenactor.animate(source, "@nod") == "relative"
    assert reenactor.animate(source, "@nod", motion="absolute") == "absolute"
    assert reenactor.animate(source, path) == "absolute"


def test_a_motion_serves_many_sources_and_keeps_no_pixels(reenactor, monkeypatch):
    motion = reenactor.track(iter(TARGET))
    assert len(motion) == 5
    sources = [reenactor.find(photo) for photo in (PHOTO, TARGET[1])]
    monkeypatch.setattr(FakeFaceStack, "target_motion", None)  # nothing is tracked again
    first, second = (list(reenactor.animate(source, motion)) for source in sources)
    assert len(first) == len(second) == 5
    assert (first[0] != second[0]).any()
    kept = [v for v in vars(motion.tracked).values() if isinstance(v, np.ndarray)]
    assert all(array.ndim == 1 for array in kept)


def test_a_source_that_was_prepared_gives_the_same_frames(reenactor, monkeypatch):
    source, motion = reenactor.find(PHOTO), reenactor.track(TARGET)
    computed = []
    original = Reenactor.set_source

    def set_source(self, *args, **options):
        computed.append(1)
        return original(self, *args, **options)

    monkeypatch.setattr(Reenactor, "set_source", set_source)
    crop, photo = (AnimateOptions(compose=name, output_size=40) for name in ("crop", "photo"))
    for options, times in ((crop, 1), (photo, 2)):
        wanted = list(reenactor.frames(source, motion, options))
        computed.clear()
        reenactor.prepare(source, crop, is_picture=False)
        assert np.array_equal(list(reenactor.frames(source, motion, options)), wanted)
        assert len(computed) == times, "what suits is used"
        assert np.array_equal(list(reenactor.frames(source, motion, options)), wanted)
        assert len(computed) == times + 1, "only once"


def test_results_come_one_by_one(reenactor, monkeypatch):
    rendered = []
    original = Reenactor.render

    def render(self, state, faces):
        rendered.append(len(faces))
        return original(self, state, faces)

    monkeypatch.setattr(Reenactor, "render", render)
    motion = reenactor.track(TARGET)[[0] * 20]
    results = reenactor.animate(PHOTO, motion)
    assert rendered == []
    next(results)
    results.close()
    assert rendered == [2] * len(rendered)
    workers = min(torch.get_num_threads(), MOST_WORKERS)
    assert len(rendered) <= workers + 1, "some batches ahead, and not the whole motion"


@pytest.mark.parametrize("compose", ["photo", "crop"])
def test_a_stream_gives_the_same_frames_as_soon_as_faces_arrive(reenactor, compose):
    options = AnimateOptions(compose=compose, output_size=40)
    source, motion = reenactor.find(PHOTO), reenactor.track(TARGET)
    wanted = list(reenactor.frames(source, motion, options))
    faces = driving_faces(reenactor.face, source, motion, options)
    taken = []

    def arriving():
        for i in range(len(faces)):
            taken.append(i)
            yield faces[i]

    for i, frame in enumerate(reenactor.stream(source, arriving(), options)):
        assert taken == list(range(i + 1)), "no face is read ahead"
        assert np.abs(frame.astype(int) - wanted[i]).max() <= 1, "batches of other sizes round"
    assert i == len(faces) - 1
    with pytest.raises(UserError, match="compose: follow is not possible live"):
        reenactor.stream(source, arriving(), AnimateOptions(compose="follow"))


def test_a_single_picture_is_a_target(reenactor):
    for target in (TARGET[2], Image.fromarray(TARGET[2])):
        motion = reenactor.track(target)
        assert motion.is_picture
        assert len(list(reenactor.animate(PHOTO, motion))) == 1


@pytest.mark.parametrize("compose", COMPOSITIONS)
def test_every_composition_gives_a_frame_for_each_of_the_targets(reenactor, compose):
    frames = list(reenactor.animate(PHOTO, TARGET, compose=compose, output_size=40))
    shape = PHOTO.shape if compose == "photo" else (40, 40, 3)
    assert [frame.shape for frame in frames] == [shape] * 5


def test_frame_times_go_through(reenactor, make_clip):
    clip = VideoReader(make_clip(num_frames=6, fps=Fraction(30000, 1001)))
    assert reenactor.track(clip).timeline == clip.timeline
    assert reenactor.track(clip, fps=12.5).timeline.times[1] == Fraction(2, 25)
    assert reenactor.track(TARGET).timeline.times[4] == Fraction(4, 25)


def unusable_photos():
    yield np.zeros((40, 40, 3), np.float32), "photo: its values are float32, give a numpy array"
    yield PHOTO.astype(np.int64), "photo: its values are int64"
    yield PHOTO.transpose(2, 0, 1), r"photo: its shape is \(3, 80, 96\)"
    yield np.zeros((0, 5, 3), np.uint8), "photo: it has no pixels"
    yield torch.zeros(3, 8, 8), "photo: got Tensor, give a numpy array"
    yield "face.png", "face.png: no such file"
    yield Path("face.png"), "face.png: no such file"
    yield DOCUMENT, "python.md: is not a picture"
    yield None, "photo: got NoneType"
    yield np.full((80, 96, 3), 30, np.uint8), "photo: no face found, take a photo"


@pytest.mark.parametrize(("photo", "message"), list(unusable_photos()))
def test_an_unusable_photo_is_one_line(reenactor, photo, message):
    with pytest.raises(UserError, match=message) as error:
        reenactor.animate(photo, TARGET)
    assert "\n" not in str(error.value)


def unusable_targets():
    wall = np.full((80, 96, 3), 30, np.uint8)
    yield [], "target: it has no frames"
    yield [TARGET[0], TARGET[1] / 255], "target, frame 1: its values are float64"
    yield (
        [TARGET[0], TARGET[1][1:]],
        "target, frame 1: it has 96x79 pixels, the first one has 96x80",
    )
    yield torch.zeros(2, 8, 8, 3), "target, frame 0: got Tensor"
    yield Path("clip.mp4"), "clip.mp4: no such file"
    yield [Path("a.png")], "a.png: no such file"
    yield [wall, wall], "target: no face found in 2 frames"
    yield wall, "target: no face found in the picture"


@pytest.mark.parametrize(("target", "message"), list(unusable_targets()))
def test_an_unusable_target_is_one_line(reenactor, target, message):
    with pytest.raises(UserError, match=message) as error:
        reenactor.animate(PHOTO, target)
    assert "\n" not in str(error.value)


def test_wrong_options_are_refused_at_once(reenactor):
    with pytest.raises(UserError, match="output_size: must be at least 16 and at most 4096, got 8"):
        reenactor.animate(PHOTO, TARGET, output_size=8)
    with pytest.raises(UserError, match="compose: must be one of photo, crop, follow"):
        reenactor.animate(PHOTO, TARGET, compose="square")
    with pytest.raises(TypeError, match="size"):
        reenactor.animate(PHOTO, TARGET, size=8)


def test_a_motion_serves_weights_of_every_size(reenactor):
    small = reenactor.track(TARGET)
    reenactor.size = 64
    large, source = reenactor.track(TARGET), reenactor.find(PHOTO)
    assert (small.size, large.size) == (32, 64)
    driven = [driving_faces(reenactor.face, source, m, AnimateOptions()) for m in (small, large)]
    for name, values in driven[1].tensors().items():
        torch.testing.assert_close(driven[0].tensors()[name], values, rtol=1e-4, atol=1e-4)


def test_the_motion_of_another_face_stack_is_refused(reenactor):
    motion = reenactor.track(TARGET)
    tracked = dataclasses.replace(motion.tracked, params=object())
    with pytest.raises(UserError, match="tracked by another face stack"):
        list(reenactor.animate(PHOTO, dataclasses.replace(motion, tracked=tracked)))


def test_a_stack_that_reads_twice_gets_a_generator_twice(reenactor, monkeypatch):
    class Twice(FakeFaceStack):
        num_passes = 2

        def target_motion(self, frames, *arguments, **options):
            assert len(list(frames)) == len(TARGET)
            return super().target_motion(frames, *arguments, **options)

    reenactor.face = Twice()
    assert len(list(reenactor.animate(PHOTO, iter(TARGET)))) == len(TARGET)


def test_importing_the_package_does_not_load_torch():
    code = "import sys, reenact; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_the_public_names_are_there():
    import reenact

    assert reenact.Reenactor is Reenactor
    assert {getattr(reenact, name).__name__ for name in reenact.__all__} == set(reenact.__all__)
    with pytest.raises(AttributeError, match="no attribute 'reenactor_'"):
        _ = reenact.reenactor_


def test_the_documented_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0]
    names: dict[str, object] = {}
    exec(block, names)
    frames = np.stack(names["frames"])
    assert frames.shape == (6, *np.asarray(names["photo"]).shape)
    assert names["still"].shape == frames.shape[1:]
    assert names["frame"].shape == (256, 256, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1, "the face moves"
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_the_documented_settings_run(capsys):
    block = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[-1]
    names: dict[str, object] = {}
    exec(block, names)
    assert names["reenactor"].recipe.num_steps == 4
    assert "num_steps 2, now 4" in capsys.readouterr().err


def test_the_documented_groups_and_source_videos_run(tmp_path, monkeypatch):
    several, video = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1:3]
    reenactor = Reenactor.load(
        material.write_weights(tmp_path / "tiny.safetensors"),
        config=ReenactorConfig(precision="fp32"),
        device="cpu",
    )
    face = np.asarray(material.face())
    motion = reenactor.track(material.frames()[:2])
    names: dict[str, object] = {"reenactor": reenactor, "group": np.concatenate([face, face], 1)}
    names |= {"motion": motion, "first_motion": motion, "second_motion": motion}
    exec(several, names)
    assert len(names["faces"]) == 2
    assert len(list(names["frames"])) == 2
    material.write_clip(tmp_path / "person.mp4")
    monkeypatch.chdir(tmp_path)
    exec(video, names)


def test_the_documented_file_is_written(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n([^`]*reenact_files[^`]*)```", DOCUMENT.read_text())
    weights = material.write_weights(tmp_path / "tiny.safetensors")
    monkeypatch.chdir(tmp_path)
    material.write_photo(tmp_path / "photo.png")
    material.write_clip(tmp_path / "clip.mp4")
    exec(block.replace("InferRun(", f"InferRun(weights=Path({str(weights)!r}), "), {})
    assert VideoReader(tmp_path / "result.mp4").num_frames == 2 * material.NUM_FRAMES - 1
