"""The commands that animate, on tiny weights and a few frames of the demo."""

from pathlib import Path
from unittest.mock import patch

import av
import pytest
from PIL import Image

from reenact.commands.main import run_command
from reenact.inference.inputs import track_targets
from tools.fuzz import material


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return f"--set=weights={material.write_weights(tmp_path / 'tiny.safetensors')}"


def num_frames(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


def test_motion_file_then_infer(tmp_path: Path, weights: str, capsys):
    source = material.write_photo(tmp_path / "face.png")
    clip = material.write_clip(tmp_path / "clip.mp4")
    motion = tmp_path / "clip.motion.safetensors"
    assert run_command("motion", "motion", [str(clip), "--output", str(motion), weights]) == 0
    size = "--set=output_size=32"
    direct, by_motion = tmp_path / "direct.mp4", tmp_path / "by_motion.mp4"
    for target, output in ((clip, direct), (motion, by_motion)):
        words = [str(source), str(target), "--output", str(output), weights, size]
        assert run_command("infer", "infer", words) == 0
    assert num_frames(direct) == num_frames(by_motion) == material.NUM_FRAMES
    words = [str(source), str(motion), "--output", str(direct), weights, size, "--grid"]
    assert run_command("infer", "infer", words) == 1
    assert "no grid can be made of a motion file" in capsys.readouterr().err
    words = [str(source), str(clip), "--output", str(direct), weights, size]
    assert run_command("infer", "infer", [*words, "--set=repeat=3", "--set=pingpong=true"]) == 0
    assert num_frames(direct) == 3 * material.NUM_FRAMES - 2


def test_pose_writes_a_picture(tmp_path: Path, weights: str, capsys):
    source = material.write_photo(tmp_path / "face.png")
    output = tmp_path / "posed.png"
    words = [str(source), "--yaw", "10", "--smile", "0.5", "--output", str(output), weights]
    assert run_command("pose", "pose", words) == 0
    with Image.open(output) as picture:
        assert picture.size == material.face().size
    assert run_command("pose", "pose", [str(source), "--yaw", "100", weights]) == 1
    assert "yaw: must be at least -60" in capsys.readouterr().err


def test_batch_makes_all_pairs_and_says_what_failed(tmp_path: Path, weights: str, capsys):
    source = material.write_photo(tmp_path / "face.png")
    empty = tmp_path / "empty.png"
    Image.new("RGB", (64, 64)).save(empty)
    clip = material.write_clip(tmp_path / "clip.mp4")
    out = tmp_path / "out"
    words = ["--sources", str(source), str(empty), "--targets", str(clip), str(tmp_path / "no.mp4")]
    words += ["--out", str(out), weights, "--set=output_size=32"]
    assert run_command("batch", "batch", words) == 1
    printed = capsys.readouterr()
    assert printed.out.count("FAILED") == 3
    assert "3 of 4 results could not be made" in printed.err
    assert [p.name for p in out.iterdir()] == ["face_clip.mp4"]
    before = (out / "face_clip.mp4").stat().st_mtime_ns
    assert run_command("batch", "batch", words) == 1
    assert "was there already" in capsys.readouterr().out
    assert (out / "face_clip.mp4").stat().st_mtime_ns == before


def test_shipped_motions_are_relative_in_a_batch_too(tmp_path: Path, weights: str):
    source = material.write_photo(tmp_path / "face.png")
    words = ["--sources", str(source), "--targets", "@nod", str(source), "--out", str(tmp_path)]
    for options, motions in (
        ([], ["relative", "absolute"]),
        (["--motion", "absolute"], ["absolute", "absolute"]),
    ):
        with patch("reenact.commands.batch_work.animate_to_file") as animate:
            assert run_command("batch", "batch", [*words, weights, *options]) == 0
        assert [call.args[5].motion for call in animate.call_args_list] == motions


def test_batch_never_takes_one_result_for_another(tmp_path: Path, weights: str, capsys):
    source = material.write_photo(tmp_path / "face.png")
    (tmp_path / "b").mkdir()
    clips = [material.write_clip(folder / "clip.mp4") for folder in (tmp_path, tmp_path / "b")]
    words = ["--sources", str(source), str(source), "--targets", *map(str, clips), "--out"]
    words += [str(tmp_path / "out"), weights, "--set=output_size=32", "--format", "gif"]
    for first in ("face_clip.gif", "was there already"):  # the same again
        assert run_command("batch", "batch", words) == 1
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert first in lines[0]
        assert lines[1].endswith(f"is the result of {source} x {clips[0]}, rename one of the files")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["face_clip.gif"]


def test_a_transparent_photo_in_a_batch_of_pictures_and_videos(tmp_path: Path):
    frame = material.face().convert("RGBA")
    frame.paste((0, 0, 0, 0), (0, 0, 8, frame.height))
    frame.save(tmp_path / "clear.png")
    words = ["--sources", str(tmp_path / "clear.png"), "--targets"]
    words += [str(material.write_photo(tmp_path / "face.png")), "@nod", "--max-frames", "1"]
    assert run_command("batch", "batch", [*words, "--out", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "clear_face.png") as picture:
        assert picture.mode == "RGBA"
    assert num_frames(tmp_path / "out" / "clear_nod.mp4") == 1


def test_a_batch_that_is_interrupted_says_what_is_done(tmp_path: Path, weights: str, capsys):
    source = material.write_photo(tmp_path / "face.png")
    clips = [material.write_clip(tmp_path / f"{name}.mp4") for name in "ab"]
    words = ["--sources", str(source), "--targets", *map(str, clips), "--out"]
    words += [str(tmp_path / "out"), weights, "--set=output_size=32"]

    def interrupted(*arguments: object) -> object:
        if arguments[2] == [clips[1]]:
            raise KeyboardInterrupt
        return track_targets(*arguments)

    with patch("reenact.commands.batch_work.track_targets", interrupted):
        assert run_command("batch", "batch", words) == 130
    assert capsys.readouterr().out.startswith(f"ok     {source} x {clips[0]}: ")
    assert run_command("batch", "batch", words) == 0
    assert "was there already" in capsys.readouterr().out.splitlines()[0]


def test_batch_takes_videos_as_sources(tmp_path: Path, weights: str):
    clip, photo = (
        material.write_clip(tmp_path / "clip.mp4"),
        material.write_photo(tmp_path / "a.png"),
    )
    out = tmp_path / "out"
    words = ["--sources", str(clip), "--targets", str(photo), str(clip), "--out", str(out), weights]
    assert run_command("batch", "batch", words) == 0
    assert sorted(p.name for p in out.iterdir()) == ["clip_a.mp4", "clip_clip.mp4"]
    assert num_frames(out / "clip_a.mp4") == material.NUM_FRAMES


def test_faces_are_numbered_as_source_face_takes_them(tmp_path: Path, weights: str, capsys):
    face = material.face()
    group = Image.new("RGB", (2 * face.width, face.height))
    group.paste(face, (0, 0))
    group.paste(face, (face.width, 0))
    photo, preview = tmp_path / "group.png", tmp_path / "faces.png"
    group.save(photo)
    assert run_command("faces", "faces", [str(photo), "--output", str(preview)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["face", "1", "2"]
    assert int(lines[2].split()[1]) > face.width > int(lines[1].split()[1])
    with Image.open(preview) as picture:
        assert picture.size == group.size
    clip = material.write_clip(tmp_path / "clip.mp4")

    def animated(*options: str) -> int:
        words = [str(photo), str(clip), weights, "--output", str(tmp_path / "out.mp4")]
        return run_command("infer", "infer", [*words, *options])

    assert animated("--source-face", "all") == 0
    assert num_frames(tmp_path / "out.mp4") == material.NUM_FRAMES
    two = tmp_path / "two.mp4"
    words = [str(photo), str(clip), str(clip), weights, "--output", str(two)]
    words += ["--source-face", "2,1", "--max-frames", "2"]
    assert run_command("infer", "infer", words) == 0
    assert num_frames(two) == 2
    capsys.readouterr()
    for options, message in (
        (("--source-face", "3"), "face 3 was chosen, but the picture has 2"),
        (("--source-face", "1,1"), "each face can be chosen once only"),
        (("--source-face", "all", "--grid"), "no grid can be made of several faces"),
        (("--target-face", "1,2"), "1 face and 2 targets: give one target for all faces"),
        (("--target-face", "2"), "face 2 was chosen, but the picture has 1"),
        (("--source-face", "all", "--compose", "crop"), "compose: several faces need photo"),
    ):
        assert animated(*options) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert message in error, error
