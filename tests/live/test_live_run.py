"""Live runs: a file is the camera, and the clock is simulated."""

import argparse
import gc
import sys
import threading
import weakref
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from reenact.assets import asset_path
from reenact.commands import live as command
from reenact.errors import UserError
from reenact.face.control import Sliders
from reenact.face.open.stack import OpenFaceStack
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.inference.shipped_motions import shipped_motion
from reenact.live.camera import open_camera
from reenact.live.driver import FADE_SECONDS, HOLD_SECONDS, LiveDriver
from reenact.live.feed import ClipFeed, NewestFeed
from reenact.live.run import run_live
from reenact.live.sinks import Recording, VirtualCamera, Window
from reenact.media.animation import open_clip
from reenact.media.images import read_frame
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

RELATIVE = InferRun(motion="relative")


class SimulatedClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class SlowReenactor:
    """The real face stack. Rendering takes simulated time, and shows the head's yaw."""

    def __init__(self, face: OpenFaceStack, clock: SimulatedClock, seconds: float) -> None:
        self.face, self.clock, self.seconds = face, clock, seconds

    def stream(self, source, faces, options):
        for face in faces:
            self.clock.sleep(self.seconds)
            yield np.full((64, 48, 3), 128 + 200 * float(face.rotation[0, 0]), np.uint8)


class Keys:
    """A sink that presses keys at results with these numbers."""

    def __init__(self, keys: dict[int, str] | None = None) -> None:
        self.keys, self.frames, self.times, self.lines = keys or {}, [], [], []
        self.closed = 0

    def show(self, frame, time, lines):
        self.frames.append(frame)
        self.times.append(time)
        self.lines.append(lines)
        return self.keys.get(len(self.frames) - 1, "")

    def close(self):
        self.closed += 1


@pytest.fixture(scope="module")
def face() -> OpenFaceStack:
    return OpenFaceStack()


@pytest.fixture(scope="module")
def source(face):
    return face.source_face(read_frame(asset_path("demo_source.png")), 128)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return list(open_clip(asset_path("demo_target.mp4"), fps=None, max_frames=12))


def clip(**options):
    return open_clip(asset_path("demo_target.mp4"), fps=None, **options)


def live(face, source, seconds, sinks, **options):
    clock = SimulatedClock()
    feed = ClipFeed(clip(), clock)
    return run_live(
        SlowReenactor(face, clock, seconds), source, feed, sinks, RELATIVE, clock, **options
    )


def test_slow_rendering_drops_frames_and_the_delay_does_not_grow(face, source):
    sink = Keys()
    report = live(face, source, 0.25, [sink])
    count = clip().num_frames
    assert report.num_frames + report.num_dropped == count
    assert report.num_frames == len(sink.frames) == 13  # 3 seconds of film
    assert report.states == ["following"] * report.num_frames
    assert max(report.delays) <= 0.25 + 1 / 25 + 1e-6
    assert (np.diff(sink.times) > 0).all()
    assert len({int(frame[0, 0, 0]) for frame in sink.frames}) > 3, "the head moves"
    assert sink.closed == 1
    assert f"{report.num_frames} frames shown, {report.num_dropped} dropped" in report.line()
    assert "dropped" in sink.lines[-1][0]


def test_fast_rendering_drops_nothing(face, source):
    sink = Keys({9: "q"})
    report = live(face, source, 0.01, [sink])
    assert (report.num_frames, report.num_dropped) == (10, 0)
    assert np.allclose(report.delays, 0.01)
    assert np.allclose(np.diff(sink.times), 1 / 25)


def test_keys(face, source, tmp_path, capsys):
    sink = Keys({0: "m", 2: "r", 3: "s", 4: "q"})
    report = live(face, source, 0.25, [sink], stills=tmp_path / "stills")
    assert report.num_frames == 5
    rest = sink.frames[0]  # the first frame is its own reference
    # Mirrored, the face is somewhere else: it is searched again, and turned the other way.
    assert (sink.frames[3] == rest).all(), "a new reference gives the photo's own pose"
    saved = tmp_path / "stills" / "live_001.png"
    assert (read_frame(saved) == sink.frames[3]).all()
    assert "synthetic" in str(Image.open(saved).info).lower()
    assert str(saved) in capsys.readouterr().out


def test_a_lost_face_holds_and_then_fades_to_the_own_face_of_the_photo(face, source, frames):
    driver = LiveDriver(face, source, RELATIVE)
    empty = np.zeros_like(frames[0])
    assert driver.update(empty, -1.0).state == "waiting"
    for i, frame in enumerate(frames):
        last = driver.update(frame, i / 25)
    seen = (len(frames) - 1) / 25

    def away(driven) -> float:
        own = source.params.tensors()
        return max(float((v - own[k]).abs().max()) for k, v in driven.face.tensors().items())

    assert away(last) > 0.05
    times = np.arange(0.1, HOLD_SECONDS + FADE_SECONDS + 0.25, 0.1)
    lost = [driver.update(empty, seen + t) for t in times]
    assert {driven.state for driven in lost} == {"lost"}
    distances = np.array([away(driven) for driven in lost])
    held = times < HOLD_SECONDS + 1e-6
    assert np.allclose(distances[held], away(last), atol=1e-4)
    assert (np.diff(distances[~held]) <= 1e-6).all()
    assert distances[-1] < 1e-5
    back = driver.update(frames[-1], seen + times[-1] + 0.1)
    assert back.state == "following"
    assert 0 < away(back) < away(last), "it returns softly"


def test_another_person_does_not_drive_until_restart(face, source, frames):
    astronaut = pytest.importorskip("skimage.data").astronaut()[:384, 64:448, :3]
    side = len(frames[0])
    other = np.asarray(Image.fromarray(np.ascontiguousarray(astronaut)).resize((side, side)))
    driver = LiveDriver(face, source, RELATIVE)
    states = [driver.update(f, i / 25).state for i, f in enumerate([*frames[:3], other, frames[3]])]
    assert states == ["following"] * 3 + ["other person", "following"]
    driver.restart()
    assert driver.update(other, 1.0).state == "following"


def test_a_reference_that_live_pictures_do_not_have_is_one_line(face, source):
    for reference in ("closest", 4):
        options = InferRun(motion="relative", motion_reference=reference)
        with pytest.raises(UserError, match=f"motion_reference: {reference} is not possible live"):
            LiveDriver(face, source, options)


def test_a_transparent_background_is_one_line(face, source):
    run = InferRun(motion="relative", background="transparent")
    clock = SimulatedClock()
    with pytest.raises(UserError, match="background: transparent is not possible live"):
        run_live(SlowReenactor(face, clock, 0.1), source, ClipFeed(clip(), clock), [], run, clock)


def test_a_camera_is_read_to_the_newest_frame():
    taken, arrived = threading.Semaphore(0), threading.Semaphore(0)
    pictures = iter(range(6))

    def read():
        arrived.release()
        taken.acquire()
        number = next(pictures, None)
        return None if number is None else np.full((2, 2, 3), number, np.uint8)

    feed = NewestFeed(read, SimulatedClock())
    for _ in range(4):  # four pictures come, and nobody takes them
        taken.release()
        arrived.acquire()
    arrived.acquire()  # the fifth is being read, so the fourth was stored
    newest = feed.take()
    assert newest.frame[0, 0, 0] == 3
    assert feed.num_dropped == 3
    taken.release(3)
    last = feed.take()
    assert last.frame[0, 0, 0] in (4, 5)
    rest = [feed.take() for _ in range(2)]
    assert rest[-1] is None
    feed.close()


def test_a_camera_through_opencv(tmp_path):
    pytest.importorskip("cv2")
    path = tmp_path / "camera.mp4"
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    with VideoWriter(path, width=64, height=64, fps=Fraction(25)) as writer:
        for _ in range(5):
            writer.write(red)
    read = open_camera(str(path))  # OpenCV reads files as it reads cameras
    pictures = []
    while (picture := read()) is not None:
        pictures.append(picture)
    assert len(pictures) == 4, "one is read to try the camera"
    assert np.abs(pictures[0].astype(int) - red).max() < 12
    with pytest.raises(UserError, match="camera 97: cannot be opened"):
        open_camera(97)


def test_a_window_needs_a_screen(monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="no window can be opened here"):
        Window("x")


def test_a_recording_keeps_the_times(tmp_path):
    path = tmp_path / "new" / "live.mp4"
    recording = Recording(path, Fraction(25), None)
    for time, level in ((7.0, 10), (7.2, 100), (7.24, 200)):
        recording.show(np.full((32, 48, 3), level, np.uint8), time, [])
    recording.close()
    levels = [int(frame.mean()) for frame in VideoReader(path)]
    assert len(levels) == 7
    assert np.allclose(levels, [10] * 5 + [100, 200], atol=3)


def test_a_recording_without_results_leaves_no_file(tmp_path):
    Recording(tmp_path / "live.mp4", Fraction(25), None).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [lambda: Window("x"), lambda: VirtualCamera(Fraction(25))])
def test_a_missing_extra_is_one_line(monkeypatch, make):
    for name in ("cv2", "pyvirtualcam"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install opencv-python pyvirtualcam"):
        make()


PHOTO, NOD = str(asset_path("demo_source.png")), str(shipped_motion("@nod"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["photo.png", "--camera", "0", "--input", "clip.mp4"], "not both"),
        (["photo.png", "--no-window"], "--no-window shows nothing"),
        (["missing.png"], "no such file"),
        ([PHOTO, "--no-window", "--output", "a.mp4", "--input", NOD], "has no pictures, use it"),
    ],
)
def test_wrong_options_are_one_line(given, message):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(UserError, match=message):
        command.run(parser.parse_args(given))


def test_a_long_run_keeps_no_faces():
    reenactor = Reenactor.load(device="cpu")
    source = reenactor.find(read_frame(asset_path("demo_source.png")))
    alive = []

    def faces():
        for yaw in range(3):
            face = reenactor.face.posed(source.params, Sliders(yaw=yaw))
            alive.append(weakref.ref(face))
            yield face
            del face

    shown = reenactor.stream(source, faces(), InferRun(compose="crop", output_size=64))
    assert len([next(shown) for _ in range(3)]) == 3
    gc.collect()
    assert [ref() is None for ref in alive[:2]] == [True, True]


def test_a_command_from_photo_to_recording(tmp_path, capsys):
    output, short = tmp_path / "live.mp4", tmp_path / "short.mp4"
    film = clip(max_frames=8)
    with VideoWriter(short, width=film.width, height=film.height, fps=film.fps) as writer:
        for frame in film:
            writer.write(frame)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = ["--input", str(short), "--no-window", "--output", str(output), "--device", "cpu"]
    photo = str(asset_path("demo_source.png"))
    command.run(parser.parse_args([photo, *options, "--set", "max_side=160"]))
    said = capsys.readouterr().out
    assert "0 without the face" in said
    results = list(VideoReader(output))
    assert results[0].shape == (160, 160, 3)
    assert 1 <= len(results) <= 8
