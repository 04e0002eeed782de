"""What the page is made of, without the page: files, jobs, options and the work itself."""

import itertools
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reenact.assets import ASSETS_DIR, asset_path
from reenact.commands.animating import KEYS
from reenact.errors import UserError
from reenact.face.control import Sliders
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.images import read_frame
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter
from reenact.web.job import Job, Stopped
from reenact.web.options import AS_USUAL, OPTIONS, SLIDERS, keys_of, run_of, sliders_of
from reenact.web.storage import PREFIX, Storage
from reenact.web.studio import ALL, LARGEST, Studio, page_run

PHOTO, CLIP = asset_path("demo_source.png"), asset_path("demo_target.mp4")
SMILE = ASSETS_DIR / "motions" / "smile.motion.safetensors"


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Storage()
    yield made
    made.close()


def upload(storage: Storage, name: str) -> Path:
    path = storage.files / "ab12" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_an_upload_is_removed_when_another_one_takes_its_place(storage):
    own = upload(storage, "page.png")
    storage.keep_present()
    first, second, clip = (upload(storage, name) for name in ("1.png", "2.png", "c.mp4"))
    storage.use("visit", "photo", own)
    storage.use("visit", "photo", first)
    storage.use("visit", "clip", clip)
    storage.use("other", "photo", first)
    storage.use("visit", "photo", second)
    assert first.exists(), "another visit uses it"
    storage.use("other", "photo", None)
    assert not first.exists()
    assert own.exists(), "it belongs to the page"
    storage.use("visit", "photo", second)
    assert second.exists(), "the same one again"
    result = storage.new_folder("visit", "results") / "r.mp4"
    result.write_bytes(b"x")
    storage.end("visit")
    assert not any(path.exists() for path in (second, clip, result))


def test_nothing_outside_of_the_uploads_is_removed(storage, tmp_path):
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"x")
    storage.use("visit", "photo", mine)
    storage.use("visit", "photo", storage.files / ".." / ".." / "mine.png")
    storage.end("visit")
    assert mine.exists()
    assert storage.new_folder("../../x", "stills").parents[2] == storage.files


def test_results_have_new_addresses_and_old_ones_go(storage):
    folders = [storage.new_folder("visit", "stills") for _ in range(4)]
    assert len(set(folders)) == 4
    assert [folder.exists() for folder in folders] == [False, False, True, True]


def test_old_files_are_swept_and_the_folder_is_private(storage):
    kept = upload(storage, "page.png")
    storage.keep_present()
    old, new = upload(storage, "old.png"), upload(storage, "new.png")
    for path in (kept, old):
        os.utime(path, (1, 1))
    storage.sweep()
    assert kept.exists()
    assert new.exists()
    assert not old.exists()
    assert storage.root.stat().st_mode & 0o077 == 0
    storage.close()
    assert not storage.root.exists()


def test_folders_of_killed_servers_are_removed_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive = tmp_path / f"{PREFIX}dead", tmp_path / f"{PREFIX}alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
        os.utime(folder, (1, 1))
    os.utime(dead / "file", (1, 1))
    Storage().close()
    assert not dead.exists()
    assert alive.exists()


def test_a_job_tells_its_progress_and_stops_at_the_next_item():
    steps, started = threading.Semaphore(0), threading.Event()
    seen = []

    def work(job):
        for item in job.watch(range(100), "Rendering", 100):
            seen.append(item)
            started.set()
            steps.acquire()
        return "done"

    job = Job(work)
    started.wait()
    steps.release()
    while job.progress.done < 1:
        time.sleep(0.001)
    assert job.progress.doing == "Rendering"
    assert job.progress.total == 100
    assert not job.wait(0)
    job.stop()
    steps.release(2)
    with pytest.raises(Stopped):
        job.result()
    assert len(seen) <= 3
    assert Job(lambda job: list(job.watch("abc", "x", 3))).result() == ["a", "b", "c"]
    with pytest.raises(UserError, match="wrong"):
        Job(failing).result()


def failing(job):
    raise UserError("wrong")


def test_the_options_are_those_of_the_command_line():
    # It has a chooser of faces, and signs as `--set` of the server says.
    left_out = {"source_face", "c2pa_certificate", "c2pa_key"}
    keys = {key for key in KEYS if not key.startswith("reenactor.")}
    assert set(keys_of(OPTIONS)) == keys - left_out
    defaults = {key: getattr(InferRun(), key) for key in keys_of(OPTIONS)} | {"motion": AS_USUAL}
    assert run_of(InferRun(), defaults, is_shipped=False) == InferRun()
    assert run_of(InferRun(), defaults, is_shipped=True) == InferRun(motion="relative")
    for option in (option for group in OPTIONS.values() for option in group):
        value = getattr(InferRun(), option.key)
        if option.choices:
            assert option.key == "motion" or value in option.choices
        elif option.high is not None:
            assert option.low <= value <= option.high


def test_the_sliders_are_those_of_python():
    assert set(keys_of(SLIDERS)) == set(Sliders.__dataclass_fields__)
    ends = {o.key: o.high for group in SLIDERS.values() for o in group}
    assert sliders_of(ends) == Sliders(**ends)
    with pytest.raises(UserError, match="yaw: give a number"):
        sliders_of({"yaw": "far"})


def test_values_of_the_page_are_checked():
    run = run_of(
        InferRun(),
        {"max_frames": 4.0, "end": 0, "motion": "absolute", "label": True},
        is_shipped=True,
    )
    assert run == InferRun(max_frames=4, motion="absolute", label=True)
    for values, message in (
        ({"target_face": "/etc/passwd"}, "target_face: choose largest"),
        ({"max_frames": 2.5}, "max_frames: give a whole number"),
        ({"pose_strength": "much"}, "pose_strength: give a number"),
        ({"pose_strength": 9}, "pose_strength"),
        ({"background": "green"}, "background: choose photo"),
        ({"label": "yes"}, "label: give yes or no"),
    ):
        with pytest.raises(UserError, match=message):
            run_of(InferRun(), values, is_shipped=False)


@pytest.fixture(scope="module")
def studio() -> Studio:
    run = page_run(InferRun(max_side=128), "cpu")
    return Studio(Reenactor.load(device="cpu", config=run.reenactor), run)


def test_a_still_is_the_picture_that_python_gives(studio, tmp_path):
    wanted = Sliders(yaw=10, smile=0.5)
    for sliders in (Sliders(), wanted):  # the second one uses the encoded photo of the first
        path = studio.still(PHOTO, 0, sliders, studio.run, tmp_path)
    shown = read_frame(path)
    reenactor = studio._reenactor
    whole = reenactor.pose(read_frame(PHOTO), wanted)
    small = np.asarray(Image.fromarray(whole).resize(shown.shape[1::-1], Image.Resampling.LANCZOS))
    assert shown.shape == (128, 128, 3)
    assert np.abs(shown.astype(int) - small).mean() < 4
    assert "synthetic" in str(Image.open(path).info).lower()


def test_an_animation_with_progress(studio, tmp_path):
    run = run_of(studio.run, {"max_frames": 3}, is_shipped=False)
    job = Job(lambda job: studio.animate(job, PHOTO, 0, CLIP, run, tmp_path))
    made = job.result()
    assert (made.num_frames, made.is_picture, made.notes) == (3, False, ())
    assert made.path.name == "demo_source_demo_target.mp4"
    assert len(list(VideoReader(made.path))) == 3
    assert (job.progress.doing, job.progress.done, job.progress.total) == ("Rendering", 3, 3)


def test_a_source_video_takes_the_expression_and_keeps_its_length(studio, tmp_path):
    run = run_of(studio.run, {"max_frames": 2, "sound": "source"}, is_shipped=True)
    faces, _ = studio.faces(CLIP)
    job = Job(lambda job: studio.animate(job, CLIP, faces[0].number, SMILE, run, tmp_path))
    made = job.result()
    assert (made.num_frames, made.is_picture) == (2, False)
    assert VideoReader(made.path).timeline.times == VideoReader(CLIP).timeline.times[:2]
    assert np.array_equal(read_frame(made.before), next(iter(VideoReader(CLIP))))
    with pytest.raises(UserError, match="A video moves one face: choose one"):
        Job(lambda job: studio.animate(job, CLIP, ALL, SMILE, run, tmp_path)).result()


def test_the_page_hears_every_warning(studio, tmp_path, capsys):
    """Also those about a photo whose face was found before."""
    cut = tmp_path / "cut.png"
    Image.fromarray(read_frame(PHOTO)[:, 150:]).save(cut)
    warning = "photo: its border cuts the face; what lies beyond is not invented"
    run = run_of(studio.run, {"max_frames": 1}, is_shipped=True)
    studio.still(cut, LARGEST, Sliders(), run, tmp_path)
    made = Job(lambda job: studio.animate(job, cut, LARGEST, SMILE, run, tmp_path)).result()
    assert made.notes == (warning,)
    assert capsys.readouterr().err.count("its border cuts the face") == 1
    made = Job(lambda job: studio.animate(job, PHOTO, LARGEST, SMILE, run, tmp_path)).result()
    assert made.notes == ()


def test_the_page_says_that_the_shorter_video_ends_the_result(studio, tmp_path):
    person = tmp_path / "person.mp4"
    with VideoWriter(person, width=320, height=320, fps=Fraction(5)) as writer:
        for frame in itertools.islice(VideoReader(CLIP), 4):
            writer.write(frame)
    run = run_of(studio.run, {"sound": "source"}, is_shipped=True)
    made = Job(lambda job: studio.animate(job, person, LARGEST, SMILE, run, tmp_path)).result()
    assert made.num_frames == 4
    assert made.notes == (
        "the source video ends at 0.8 s, the target at 3.0 s; the result ends with the shorter one",
    )


def test_a_transparent_background_gives_a_file_that_holds_it(studio, tmp_path):
    values = {"max_frames": 1, "background": "transparent"}
    run = run_of(studio.run, values, is_shipped=True)
    made = Job(lambda job: studio.animate(job, PHOTO, LARGEST, SMILE, run, tmp_path)).result()
    assert made.path.suffix == ".webm"
    path = studio.still(PHOTO, LARGEST, Sliders(), run, tmp_path)
    assert Image.open(path).mode == "RGBA"


def test_a_transparent_photo_stays_transparent(studio, tmp_path):
    frame = np.dstack([read_frame(PHOTO), np.full((320, 320), 255, np.uint8)])
    frame[:, :20, 3] = 0
    photo = tmp_path / "clear.png"
    Image.fromarray(frame).save(photo)
    run = run_of(studio.run, {"max_frames": 1}, is_shipped=True)
    made = Job(lambda job: studio.animate(job, photo, LARGEST, SMILE, run, tmp_path)).result()
    assert made.path.suffix == ".webm"
    still = np.asarray(Image.open(studio.still(photo, LARGEST, Sliders(), run, tmp_path)))
    assert still[:, :5, 3].max() == 0
    assert still[60:, 64, 3].min() == 255


def test_a_stopped_animation_leaves_no_file_and_the_studio_works_on(studio, tmp_path):
    job = Job(lambda job: studio.animate(job, PHOTO, 0, SMILE, studio.run, tmp_path))
    while job.progress.done < 2:
        time.sleep(0.01)
    job.stop()
    with pytest.raises(Stopped):
        job.result()
    assert job.progress.done < job.progress.total / 2
    assert list(tmp_path.iterdir()) == []
    run = run_of(studio.run, {"max_frames": 1}, is_shipped=True)
    made = Job(lambda job: studio.animate(job, PHOTO, 0, SMILE, run, tmp_path)).result()
    assert made.path.exists()


def test_faces_get_numbers(studio, tmp_path):
    left, right = read_frame(PHOTO), next(iter(VideoReader(CLIP)))
    group = tmp_path / "group.png"
    Image.fromarray(np.hstack([left, right])).save(group)
    faces, numbered = studio.faces(group)
    assert [face.number for face in faces] == [1, 2]
    assert faces[0].box[2] < left.shape[1] < faces[1].box[0]
    assert numbered.shape == (320, 640, 3)
    assert (numbered != read_frame(group)).any()
    target = tmp_path / "target.png"
    Image.fromarray(left).save(target)  # the face at the left hardly moves with it
    moved = {}
    for face in (LARGEST, ALL, 1, 2):
        job = Job(
            lambda job, face=face: studio.animate(job, group, face, target, studio.run, tmp_path)
        )
        change = np.abs(read_frame(job.result().path).astype(int) - read_frame(group)).max(-1)
        # A shoulder at the left reaches the middle, and its edge is blended there.
        moved[face] = (change[:, :320] > 0).any(), (change[:, 330:] > 0).any()
    one, other, both = (True, False), (False, True), (True, True)
    assert moved == {LARGEST: one, ALL: both, 1: one, 2: other}
    with pytest.raises(UserError, match="The sliders move one face"):
        studio.still(group, ALL, Sliders(), studio.run, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no picture", "photo.jpg: is not a picture"), (None, "photo.jpg: no face found")],
)
def test_errors_name_the_file_without_its_folder(studio, tmp_path, content, message):
    path = tmp_path / "photo.jpg"
    if content is None:
        Image.new("RGB", (200, 200)).save(path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        studio.faces(path)
    assert str(caught.value).startswith(message)
    assert str(tmp_path) not in str(caught.value)
