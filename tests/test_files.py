import os
import stat
import time
from pathlib import Path

import pytest

from reenact.errors import Stopped, UserError
from reenact.files import (
    atomic_output,
    check_input_file,
    check_output_path,
    create_temporary,
    create_temporary_folder,
    make_folder,
    shortened,
)
from reenact.inference.paths import check_output, default_output
from reenact.inference.run_config import InferRun

CJK = "漢" * 80  # 240 bytes


def test_a_file_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_output(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error", [RuntimeError(), KeyboardInterrupt(), SystemExit(1), GeneratorExit(), Stopped(15)]
)
def test_whatever_ends_the_block_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_output(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_output(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"a.txt: cannot write \(no space left on device\)"):
        write()
    assert os.listdir(tmp_path) == []


def test_temporary_files_have_the_permissions_of_new_files(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        temporary = create_temporary(tmp_path / "a.txt")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o640
    assert create_temporary(tmp_path / "a.txt") != temporary


def test_a_file_that_a_library_replaced_has_the_permissions_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("new")
    with atomic_output(tmp_path / "a.txt") as temporary:
        own = tmp_path / "own"
        own.write_text("own")
        own.chmod(0o600)
        own.replace(temporary)
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "new.txt").stat().st_mode


def test_names_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    for name in (f"{CJK}.mp4", "x" * 251 + ".txt", "x." + "y" * 253):
        with atomic_output(tmp_path / name) as temporary:
            temporary.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"
    with pytest.raises(UserError, match="the file name has 256 bytes, give one of at most 255"):
        check_output_path(tmp_path / ("x" * 252 + ".txt"))


def test_default_names_fit(tmp_path: Path) -> None:
    output = default_output(Path(f"{CJK}.jpg"), Path(f"{CJK}.mp4"), InferRun(), is_picture=False)
    assert output == Path("results") / f"{'漢' * 33}_{'漢' * 33}.mp4"
    motion = default_output(
        Path("a.jpg"), Path("b.motion.safetensors"), InferRun(), is_picture=False
    )
    assert motion == Path("results/a_b.mp4")
    assert default_output(Path("a.b.jpg"), Path("c.png"), InferRun(), is_picture=True) == Path(
        "results/a.b_c.png"
    )
    clear = InferRun(background="transparent")
    assert default_output(Path("a.jpg"), Path("b.mp4"), clear, is_picture=False).suffix == ".webm"
    check_output(tmp_path / output, tmp_path / "a.jpg", tmp_path / "b.mp4", is_picture=False)


@pytest.mark.parametrize(
    ("name", "max_bytes", "short"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("a漢b", 4, "a漢"),
        ("a漢b", 3, "a"),
        ("é" * 3, 3, "é"),
    ],
)
def test_names_are_cut_between_characters(name: str, max_bytes: int, short: str) -> None:
    assert shortened(name, max_bytes) == short


def test_only_old_files_of_ours_are_swept(tmp_path: Path) -> None:
    old, new = (
        create_temporary(tmp_path / "a.mp4"),
        create_temporary(tmp_path / "b.mp4"),
    )
    others = [tmp_path / n for n in (".x.0a1b2c3d.tmp.mp4", "a.tmp", ".reenact-notes.tmp")]
    for path in others:
        path.touch()
    old_folder = create_temporary_folder(tmp_path / "c.png")
    (old_folder / "000000.png").touch()
    days_ago = time.time() - 2 * 24 * 3600
    for path in (old, old_folder, *others):
        os.utime(path, (days_ago, days_ago))
    # This process has swept the folder before. A second process has not.
    linked = tmp_path.parent / f"{tmp_path.name}-linked"
    linked.symlink_to(tmp_path)
    with atomic_output(linked / "c.txt") as temporary:
        temporary.write_text("")
    assert not old.exists()
    assert not old_folder.exists()
    assert new.exists()
    assert all(path.exists() for path in others)


def test_folders_are_made_with_those_above(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make this folder"):
        make_folder(tmp_path / "file" / "b")
    with pytest.raises(UserError, match="cannot make this folder"):
        make_folder(tmp_path / "file")


def test_a_missing_folder_is_checked_up_to_the_first_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.txt"
    assert check_output_path(path, makes_folders=True) == path
    with pytest.raises(UserError, match="does not exist"):
        check_output_path(path)
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.txt"
    with pytest.raises(UserError, match=f"^{path}: {tmp_path / 'file'} is not a folder"):
        check_output_path(path, makes_folders=True)


def test_an_unwritable_folder_is_named_with_the_file_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    path = tmp_path / "results" / "a.mp4"
    with pytest.raises(UserError, match=f"^{path}: the folder {tmp_path} is not writable"):
        check_output(path, tmp_path / "a.jpg", tmp_path / "b.mp4", is_picture=False)


def test_a_result_overwrites_neither_source_nor_target(tmp_path: Path) -> None:
    photo, clip = tmp_path / "a.png", tmp_path / "b.mp4"
    clip.touch()
    (tmp_path / "link.mp4").symlink_to(clip)
    with pytest.raises(UserError, match="would overwrite the target"):
        check_output(tmp_path / "link.mp4", photo, clip, is_picture=False)
    with pytest.raises(UserError, match="would overwrite the source"):
        check_output(photo, photo, tmp_path / "c.png", is_picture=True)


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for name, reason in [
        ("pipe", "not a regular file"),
        ("empty", "the file is empty"),
        ("none", "no such file"),
        ("", "is a folder"),
        ("none/none", "no such file"),
    ]:
        with pytest.raises(UserError, match=reason):
            check_input_file(tmp_path / name)
