import json

import pytest

from reenact.errors import UserError
from reenact.evaluation.pairs import PairConfig, list_pairs, pick_examples, read_clips


def test_only_clips_of_the_split_are_read(clips_folder):
    clips = read_clips(clips_folder)
    assert list(clips) == ["test_000000", "test_000001", "test_000002"]
    clip = clips["test_000001"]
    assert clip.frames.shape == (6, 16, 16, 3)
    assert len(clip.params) == clip.num_frames == 6


def test_all_pairs_when_nothing_limits_them(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairConfig(self_every=2))
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
    config = PairConfig(self_every=1, num_self=7, num_cross=4, seed=3)
    pairs = list_pairs(clips, config)
    assert pairs == list_pairs(read_clips(clips_folder), config)
    keys = [pair.key for pair in pairs]
    assert len(set(keys)) == len(keys) == 11
    assert not any(
        (pair.source_clip, pair.source_frame) == (pair.target_clip, pair.target_frame)
        for pair in pairs
    )
    other = list_pairs(clips, PairConfig(self_every=1, num_self=7, num_cross=4, seed=4))
    assert [pair.key for pair in other] != keys


def test_a_mode_can_be_left_out(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairConfig(num_cross=0))
    assert {pair.mode for pair in pairs} == {"self"}


def test_cross_records_of_clips_outside_the_selection_are_left_out(clips_folder):
    clips = read_clips(clips_folder)
    del clips["test_000002"]
    pairs = list_pairs(clips, PairConfig(num_self=0))
    assert [(pair.source_clip, pair.target_clip) for pair in pairs] == [
        ("test_000000", "test_000001"),
        ("test_000001", "test_000000"),
    ]


def test_only_the_first_clips_give_sources_but_any_gives_a_target(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairConfig(), num_sources=1)
    assert {pair.source_clip for pair in pairs} == {"test_000000"}
    assert {pair.target_clip for pair in pairs if pair.mode == "cross"} == {
        "test_000001",
        "test_000002",
    }


def test_examples_are_spread_over_both_modes(clips_folder):
    pairs = list_pairs(read_clips(clips_folder), PairConfig(self_every=1))
    examples = pick_examples(pairs, 3)
    assert [pair.mode for pair in examples] == ["self"] * 3 + ["cross"] * 3
    assert len({pair.source_clip for pair in examples if pair.mode == "self"}) == 3
    assert pick_examples(pairs, 0) == []
    assert pick_examples(pairs, 1000) == pairs


@pytest.mark.parametrize(
    "values", [{"self_every": 0}, {"num_self": -1}, {"num_self": 0, "num_cross": 0}]
)
def test_senseless_settings_are_refused(values):
    with pytest.raises(ValueError, match=r"self_every|num_self"):
        PairConfig(**values)


def test_a_folder_without_clips_is_a_user_error(tmp_path, clips_folder):
    with pytest.raises(UserError, match=r"manifest\.json: not found"):
        read_clips(tmp_path)
    with pytest.raises(UserError, match="no clip of the split 'val'"):
        read_clips(clips_folder, split="val")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_clips(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps([1]))
    with pytest.raises(UserError, match="not a manifest"):
        read_clips(tmp_path)


def test_a_damaged_clip_is_a_user_error(clips_folder):
    clip = read_clips(clips_folder)["test_000000"]
    (clip.folder / "frames.npy").write_bytes(b"no array")
    (clip.folder / "params.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"frames\.npy"):
        _ = clip.frames
    with pytest.raises(UserError, match=r"params\.npz"):
        _ = clip.params
