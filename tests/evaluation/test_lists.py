from pathlib import Path

import pytest

from reenact.data.clips import ClipSet, open_clips
from reenact.errors import UserError
from reenact.evaluation.pairing.lists import (
    COMMITTED,
    LISTS_DIR,
    VOXCELEB1_TEST,
    Row,
    bind,
    drawn_people,
    people_csv,
    read_rows,
    voxceleb2_test,
)
from reenact.evaluation.pairing.pairs import PairListConfig, list_pairs, pairs_csv


@pytest.fixture
def clips(clips_folder: Path) -> ClipSet:
    return open_clips(clips_folder, "test")


@pytest.mark.parametrize(("name", "people"), [("voxceleb1", VOXCELEB1_TEST), ("voxceleb2", None)])
def test_committed_lists_are_those_that_the_seed_draws(name, people):
    people = people or voxceleb2_test()
    assert (LISTS_DIR / COMMITTED[name]).read_text() == people_csv(people)
    rows = read_rows(name)
    assert len({(row.source, row.driving) for row in rows}) == 35
    assert all(row.source != row.driving for row in rows)
    assert {row.source for row in rows} | {row.driving for row in rows} <= set(people)


def test_the_people_of_the_test_splits():
    assert VOXCELEB1_TEST[0] == "id10270"
    assert VOXCELEB1_TEST[-1] == "id10309"
    assert len(set(VOXCELEB1_TEST)) == 40
    assert len(set(voxceleb2_test())) == 118


def test_drawn_people_are_different_pairs():
    drawn = drawn_people("abcd", 7, seed=1)
    assert len(set(drawn)) == 7
    assert all(a != b for a, b in drawn)
    assert len(drawn_people("abc", 100, seed=1)) == 6
    assert drawn != drawn_people("abcd", 7, seed=2)


@pytest.mark.parametrize(
    "text",
    [
        "test_000001",
        "test_000001.mp4",
        "test/test_000001.mp4",
        "/data/vox/test/test_000001.mp4",
        "somewhere\\test_000001.png",
        "1",  # the person
    ],
)
def test_a_row_may_name_a_clip_a_path_or_a_person(clips, text):
    (row,) = bind([Row(source="test_000000", driving=text)], clips, seed=0)
    assert row.driving == "test_000001"


def test_paths_of_the_release_and_of_flat_folders_mean_the_prepared_clips():
    from reenact.evaluation.pairing.lists import _normal, _readings

    assert _normal("id10280/NXjT3732Ekg/00001.mp4") == "id10280#NXjT3732Ekg#00001"
    assert _normal("test/id10280#NXjT3732Ekg#001093#001192.mp4") == (
        "id10280#NXjT3732Ekg#001093#001192"
    )
    assert "id10280#x" in _readings("/mnt/vox1/id10280/x/frames_cropped")


def test_a_person_stands_for_the_same_clip_every_time(clips_folder):
    import json

    manifest = json.loads((clips_folder / "manifest.json").read_text())
    for entry in manifest["clips"]:
        entry["person"] = "id1" if entry["name"] != "test_000002" else "id2"
    (clips_folder / "manifest.json").write_text(json.dumps(manifest))
    rows = [Row(source="id1", driving="id2")] * 8
    clips = open_clips(clips_folder, "test")
    bound = bind(rows, clips, seed=0)
    assert bound == bind(rows, clips, seed=0)
    assert {row.source for row in bound} == {"test_000000", "test_000001"}
    assert {row.driving for row in bound} == {"test_000002"}


def test_unknown_rows_are_left_out_and_named(clips, capsys):
    rows = [Row(source="id9", driving="test_000001"), Row(source="1", driving="2")]
    assert len(bind(rows, clips, seed=0)) == 1
    assert "1 of 2 rows are left out" in (line := capsys.readouterr().err)
    assert "id9" in line
    with pytest.raises(UserError, match=r"35 of 35 rows are left out.*set pairs\.cross to drawn"):
        bind(read_rows("voxceleb1"), clips, seed=0)


def test_a_frame_beyond_the_clip_is_a_user_error(clips):
    with pytest.raises(UserError, match="test_000001 has 6 frames, the list asks for frame 6"):
        bind([Row(source="test_000001", driving="2", frame=6)], clips, seed=0)


def test_other_columns_are_ignored_and_spaces_do_not_matter(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("\ufeffdistance,Source, driving ,frame\n0.1, a.mp4 , b.mp4,3\n0.2,c,d,\n")
    assert read_rows(str(path)) == [
        Row(source="a.mp4", driving="b.mp4", frame=3),
        Row(source="c", driving="d"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "needs the columns source and driving, has a, b"),
        ("source,driving,frame\na,b,x\n", "line 2: a frame must be a number"),
        ("source,driving\n", "no rows"),
    ],
)
def test_damaged_lists_are_user_errors(tmp_path, text, message):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_rows(str(path))
    with pytest.raises(UserError, match="no such file"):
        read_rows(str(tmp_path / "none.csv"))


def test_a_written_list_gives_the_same_pairs_again(clips, tmp_path):
    config = PairListConfig(
        self_every=2, num_self=3, cross="drawn", num_cross_videos=2, cross_every=3
    )
    pairs = list_pairs(clips, config)
    path = tmp_path / "pairs.csv"
    path.write_text(pairs_csv(pairs))
    again = list_pairs(clips, PairListConfig(num_self=0, cross="listed", list=str(path)))
    assert [pair.key for pair in again] == [pair.key for pair in pairs]


def test_a_cell_that_the_csv_reader_refuses_is_one_line(tmp_path: Path):
    (tmp_path / "pairs.csv").write_text(f"source,driving\na,{'x' * 200_000}\n")
    with pytest.raises(UserError, match="is not a CSV file of text"):
        read_rows(str(tmp_path / "pairs.csv"))
