"""The folder layouts of raw clips: which clips, persons and splits are found."""

from pathlib import Path

import pytest

from reenact.data.prepare.layouts import MAX_NAME, SourceConfig, clip_name, find_sources
from reenact.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(root: Path, **kwargs):
    return [(s.split, s.person, s.name) for s in find_sources(SourceConfig(root=root, **kwargs))]


def test_flat_folders_of_videos_and_of_pictures(tmp_path):
    root = touch(
        tmp_path,
        "train/id10001#abc#000001#000100.mp4",
        "train/id10002#x-_y#000001#000100.mp4/0000000.png",
        "test/id10283#abc#000005#000100.mp4",
        "test/notes.txt",
        "train/empty/readme.md",
    )
    assert found(root) == [
        ("test", "id10283", "id10283#abc#000005#000100"),
        ("train", "id10001", "id10001#abc#000001#000100"),
        ("train", "id10002", "id10002#x-_y#000001#000100"),
    ]


def test_frames_cropped_splits_by_the_test_identities_of_voxceleb1(tmp_path):
    names = [
        f"{p}/v1/frames_cropped/000000.png" for p in ("id10269", "id10270", "id10309", "id10310")
    ]
    assert found(touch(tmp_path, *names)) == [
        ("test", "id10270", "id10270#v1"),
        ("test", "id10309", "id10309#v1"),
        ("train", "id10269", "id10269#v1"),
        ("train", "id10310", "id10310#v1"),
    ]


def test_release_finds_its_txt_at_the_root_and_beside_the_split(tmp_path):
    root = touch(
        tmp_path,
        "id10001/vid/00001.mp4",
        "txt/id10001/vid/00001.txt",
        "test/mp4/id00017/vid/00002.mp4",
        "test/txt/id00017/vid/00002.txt",
        "dev/mp4/id00018/vid/00003.mp4",
    )
    sources = {s.name: s for s in find_sources(SourceConfig(root=root))}
    assert {name: s.split for name, s in sources.items()} == {
        "id10001#vid#00001": "train",
        "id00017#vid#00002": "test",
        "id00018#vid#00003": "train",
    }
    assert sources["id10001#vid#00001"].boxes == root / "txt/id10001/vid/00001.txt"
    assert sources["id00017#vid#00002"].boxes == root / "test/txt/id00017/vid/00002.txt"
    assert sources["id00018#vid#00003"].boxes is None


def test_a_list_overrides_folders_and_identities(tmp_path):
    root = touch(tmp_path / "raw", "train/a#1.mp4", "train/a#2.mp4", "test/b#1.mp4")
    (tmp_path / "splits.txt").write_text("# persons and clips\na test\na#2 val\n\n")
    splits = {name: split for split, _, name in found(root, split_list=tmp_path / "splits.txt")}
    assert splits == {"a#1": "test", "a#2": "val", "b#1": "train"}


def test_a_wrong_line_of_the_list_is_named(tmp_path):
    root = touch(tmp_path / "raw", "train/a.mp4")
    (tmp_path / "splits.txt").write_text("a test\nb probe\n")
    with pytest.raises(UserError, match=r"splits\.txt: line 2: .*'b probe'"):
        found(root, split_list=tmp_path / "splits.txt")


def test_val_takes_whole_persons_and_no_others_later(tmp_path):
    root = touch(tmp_path, *[f"train/p{i:03d}#{j}.mp4" for i in range(100) for j in range(2)])
    before = found(root, val_persons=0.2)
    val = {person for split, person, _ in before if split == "val"}
    assert 10 <= len(val) <= 30
    assert all((person in val) == (split == "val") for split, person, _ in before)
    touch(root, "train/q#1.mp4")
    assert set(before) <= set(found(root, val_persons=0.2))


def test_few_persons_fill_both_splits_or_a_warning_says_so(tmp_path, capsys):
    root = touch(tmp_path / "three", *[f"train/p{i}#1.mp4" for i in range(3)])
    for share, num_val in ((0.0, 0), (1e-6, 1), (0.999, 2)):
        splits = [split for split, _, _ in found(root, val_persons=share)]
        assert splits.count("val") == num_val
    alone = touch(tmp_path / "one", "train/p#1.mp4", "train/p#2.mp4")
    assert capsys.readouterr().err == ""
    assert {split for split, _, _ in found(alone, val_persons=0.5)} == {"train"}
    assert "source.val_persons needs two training persons" in capsys.readouterr().err


def test_nothing_there_names_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"no clips in layout .*frames_cropped"):
        found(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        found(tmp_path / "missing")


def test_two_clips_of_one_name_are_refused(tmp_path):
    root = touch(tmp_path, "train/a#1.mp4", "test/a#1.mp4")
    with pytest.raises(UserError, match="same clip name"):
        found(root)


def test_clip_names_fit_into_a_tar_header_and_stay_apart():
    assert clip_name("id1#a.b é") == "id1#a_b__"
    long = [clip_name("x" * 200 + end) for end in "ab"]
    assert len(set(long)) == 2
    assert all(len(name) <= MAX_NAME for name in long)
