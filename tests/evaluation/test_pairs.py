from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reenact.data.clips import ClipSet, open_clips
from reenact.errors import UserError
from reenact.evaluation.pairing.pairs import (
    NO_TRUTH,
    PairListConfig,
    list_pairs,
    pick_examples,
    videos_of,
)
from reenact.face.params import FaceParams


def read_clips(folder: Path) -> ClipSet:
    return open_clips(folder, "test")


def test_all_pairs_when_nothing_limits_them(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairListConfig(self_every=2))
    of_self = [pair for pair in pairs if pair.mode == "self"]
    of_cross = [pair for pair in pairs if pair.mode == "cross"]
    assert [pair.target_frame for pair in of_self] == [2, 4] * 3
    assert len(of_cross) == 6
    assert all(p.source_frame == 0 and p.source_clip == p.target_clip for p in of_self)
    assert all(p.reference == p.target_frame for p in of_self)
    assert all(p.source_clip != p.target_clip for p in of_cross)
    assert {p.reference for p in of_cross} == {0, 1}


def test_lists_are_deterministic_and_without_repeats(clips_folder):
    clips = read_clips(clips_folder)
    config = PairListConfig(self_every=1, num_self=7, num_cross=4, seed=3)
    pairs = list_pairs(clips, config)
    assert pairs == list_pairs(read_clips(clips_folder), config)
    keys = [pair.key for pair in pairs]
    assert len(set(keys)) == len(keys) == 11
    assert not any(
        (pair.source_clip, pair.source_frame) == (pair.target_clip, pair.target_frame)
        for pair in pairs
    )
    other = list_pairs(clips, PairListConfig(self_every=1, num_self=7, num_cross=4, seed=4))
    assert [pair.key for pair in other] != keys


def test_a_mode_can_be_left_out(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairListConfig(num_cross=0))
    assert {pair.mode for pair in pairs} == {"self"}


def test_cross_records_of_clips_outside_the_selection_are_left_out(clips_folder):
    clips = read_clips(clips_folder)
    clips = replace(clips, clips=clips.clips[:2])
    pairs = list_pairs(clips, PairListConfig(num_self=0))
    assert [(pair.source_clip, pair.target_clip) for pair in pairs] == [
        ("test_000000", "test_000001"),
        ("test_000001", "test_000000"),
    ]


def test_only_the_first_clips_give_sources_but_any_gives_a_target(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairListConfig(), num_sources=1)
    assert {pair.source_clip for pair in pairs} == {"test_000000"}
    assert {pair.target_clip for pair in pairs if pair.mode == "cross"} == {
        "test_000001",
        "test_000002",
    }


def test_examples_are_spread_over_both_modes(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairListConfig(self_every=1))
    examples = pick_examples(pairs, 3)
    assert [pair.mode for pair in examples] == ["self"] * 3 + ["cross"] * 3
    assert len({pair.source_clip for pair in examples if pair.mode == "self"}) == 3
    assert pick_examples(pairs, 0) == []
    assert pick_examples(pairs, 1000) == pairs


@pytest.mark.parametrize(
    "values",
    [
        {"self_every": 0},
        {"num_self": -1},
        {"num_self": 0, "num_cross": 0},
        {"cross": "listed"},
        {"num_cross_videos": 0},
    ],
)
def test_senseless_settings_are_refused(values):
    with pytest.raises(ValueError, match=r"self_every|num_self|list|num_cross_videos"):
        PairListConfig(**values)


def test_drawn_cross_videos_join_different_people_and_have_no_truth(clips_folder):
    clips = read_clips(clips_folder)
    config = PairListConfig(num_self=0, cross="drawn", num_cross_videos=4, cross_every=2)
    pairs = list_pairs(clips, config)
    videos = videos_of(pairs)
    assert len(videos) == 4
    for video in videos:
        assert [pair.target_frame for pair in video] == [0, 2, 4]
        assert len({(pair.source_clip, pair.source_frame) for pair in video}) == 1
    people = {clip.name: clip.person for clip in clips.clips}
    assert all(people[pair.source_clip] != people[pair.target_clip] for pair in pairs)
    assert {pair.reference for pair in pairs} == {NO_TRUTH}
    assert pairs == list_pairs(clips, config)
    # Three people allow six ordered pairs.
    assert len(videos_of(list_pairs(clips, replace(config, num_cross_videos=99)))) == 6


def test_one_person_cannot_be_crossed(clips_folder):
    clips = read_clips(clips_folder)
    config = PairListConfig(cross="drawn")
    with pytest.raises(UserError, match="at least two people"):
        list_pairs(replace(clips, clips=clips.clips[:1]), config)


@pytest.fixture
def write_list(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "list.csv"
        path.write_text(text)
        return str(path)

    return write


def test_rows_of_a_list_become_cross_and_self_pairs(clips_folder, write_list):
    clips = read_clips(clips_folder)
    name = write_list("source,driving\ntest_000000,test_000002\ntest_000001,test_000001\n")
    config = PairListConfig(num_self=0, cross="listed", list=name)
    cross, of_self = (
        [pair for pair in list_pairs(clips, config) if pair.mode == mode]
        for mode in ("cross", "self")
    )
    assert [pair.target_frame for pair in cross] == list(range(6))
    assert {(pair.source_clip, pair.target_clip) for pair in cross} == {
        ("test_000000", "test_000002")
    }
    assert [(pair.target_frame, pair.reference) for pair in of_self] == [
        (i, i) for i in range(1, 6)
    ]


def test_large_pose_takes_only_turned_heads(clips_folder):
    clip = clips_folder / "test_000001"
    with np.load(clip / "params.npz") as file:
        params = {name: file[name] for name in file.files}
    params["rotation"] = np.deg2rad(
        # From the first frame: mean 0, 14, 16 (over the turn of a full circle), 20, 30, 1 degrees.
        [[170, 0, 0], [152, 24, 0], [-142, 0, 0], [170, 60, 0], [170, 45, 45], [173, 0, 0]]
    ).astype(np.float32)
    np.savez(clip / "params.npz", **params)
    clips = read_clips(clips_folder)
    only = replace(clips, clips=[clips.by_name["test_000001"]])
    config = PairListConfig(num_self=0, num_cross=0, num_large_pose=5)
    pairs = list_pairs(only, config)
    assert [pair.target_frame for pair in pairs] == [2, 3, 4]
    assert {(pair.mode, pair.source_frame) for pair in pairs} == {("large_pose", 0)}
    assert all(pair.reference == pair.target_frame for pair in pairs)
    assert len(list_pairs(only, replace(config, num_large_pose=2))) == 2


def test_head_angles_of_both_stacks():
    from reenact.evaluation.angles import angle_difference_deg
    from reenact.face.released.params import FlameParams

    angles = torch.deg2rad(torch.tensor([[20.0, 0.0, 0.0], [0.0, 0.0, -30.0]]))
    face = replace(FaceParams.neutral(2), rotation=angles)
    torch.testing.assert_close(face.head_angles_deg(), torch.rad2deg(angles))
    widths = {"shape": 100, "expression": 50, "pose": 6, "cam": 3, "gaze": 2}
    flame = FlameParams(**{name: torch.zeros(1, width) for name, width in widths.items()})
    turned = replace(flame, pose=torch.tensor([[0.0, 0.3, 0.0, 0.0, 0.0, 0.0]]))
    change = angle_difference_deg(turned.head_angles_deg(), flame.head_angles_deg())
    torch.testing.assert_close(
        change, torch.rad2deg(torch.tensor([[0.3, 0.0, 0.0]])), atol=1e-3, rtol=0
    )
