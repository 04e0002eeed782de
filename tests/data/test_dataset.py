"""Frames, pairs and batches that training draws, and the augmentation of pictures."""

import json

import numpy as np
import pytest
import torch

from reenact.data import augment
from reenact.data.augment import AugmentConfig
from reenact.data.dataset import BatchDataset, ClipDataset, PairConfig, draw_batch, sample_rng
from reenact.errors import UserError

PLAIN = AugmentConfig()
SELF, CROSS = PairConfig(), PairConfig(cross_fraction=1.0)
STRONG = AugmentConfig(flip=True, colour=0.2, brightness=0.2, degrade=0.7)


def value(image):
    """The grey level of a constant image in [-1, 1]."""
    return round((float(image.mean()) + 1) * 127.5)


def test_folder_without_manifest_names_the_command(tmp_path):
    with pytest.raises(UserError, match="python -m reenact prepare, synthetic or benchmark"):
        ClipDataset(tmp_path, "train")


def test_missing_split_names_those_there(clip_folder):
    with pytest.raises(UserError, match=r"no clips of split 'test'.*train, val"):
        ClipDataset(clip_folder(), "test")


@pytest.mark.parametrize("text", ["{", "[]", '{"size": 16}', '{"clips": [{}], "size": 16}'])
def test_damaged_manifest_is_a_user_error(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="not a clip manifest"):
        ClipDataset(tmp_path, "train")


def test_damaged_frames_are_a_user_error(clip_folder):
    root = clip_folder()
    for path in root.glob("train_*/frames.npy"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"frames\.npy: cannot read item"):
        ClipDataset(root, "train").frame(sample_rng(0, 0, 0), PLAIN)


def test_frames_stay_inside_the_split(clip_folder):
    root = clip_folder(num_clips=3, num_val=1)
    train, val = ClipDataset(root, "train"), ClipDataset(root, "val")
    assert (len(train), len(val)) == (3, 1)
    seen = {value(train.frame(sample_rng(0, 0, i), PLAIN)["image"]) for i in range(200)}
    assert seen == {20 * clip + 2 * n for clip in range(3) for n in range(4)}
    seen = {value(val.frame(sample_rng(0, 0, i), PLAIN)["image"]) for i in range(50)}
    assert seen == {60 + 2 * n for n in range(4)}


def test_self_pairs_are_two_frames_of_one_clip_with_their_masks_and_params(clip_folder):
    dataset = ClipDataset(clip_folder(), "train")
    for index in range(50):
        pair = dataset.pair(sample_rng(1, 2, index), PLAIN, SELF, 2)
        clip, source = divmod(value(pair["source"]), 20)
        other, reference = divmod(value(pair["reference"]), 20)
        assert clip == other
        assert source != reference
        assert not pair["is_cross"]
        params = dataset.clips[clip].params
        for role, frame in (("source", source // 2), ("target", reference // 2)):
            np.testing.assert_array_equal(pair[f"{role}_rotation"], params.rotation[frame])
        mask = pair["reference_mask"]
        assert mask.shape == (1, 16, 16)
        np.testing.assert_allclose(mask, (10 * clip + reference // 2) / 255, rtol=1e-6)


def test_cross_pairs_take_the_cross_frame_and_the_target_clips_params(clip_folder):
    dataset = ClipDataset(clip_folder(), "train")
    for index in range(30):
        pair = dataset.pair(sample_rng(1, 2, index), PLAIN, CROSS, 2)
        assert pair["is_cross"]
        clip, source = divmod(value(pair["source"]), 20)
        k = value(pair["reference"]) - 200
        assert source // 2 == k
        target = dataset.clips[-1].params
        np.testing.assert_array_equal(pair["target_rotation"], target.rotation[k + 1])
        np.testing.assert_array_equal(pair["target_identity"], target.identity[k + 1])
        np.testing.assert_array_equal(
            pair["source_identity"], dataset.clips[clip].params.identity[0]
        )
        assert pair["reference_mask"].min() == 1


def test_cross_pairs_without_cross_frames_are_refused(clip_folder):
    root = clip_folder()
    for path in root.glob("*/cross.json"):
        path.unlink()
    with pytest.raises(UserError, match="--cross"):
        ClipDataset(root, "train").pair(sample_rng(0, 0, 0), PLAIN, CROSS, 0)


def test_cross_targets_outside_the_split_are_not_used(clip_folder):
    root = clip_folder()
    record = [{"source_frame": 0, "target_clip": "val_000003", "target_frame": 0}]
    (root / "train_000000" / "cross.json").write_text(json.dumps(record))
    names = [c.name for c in ClipDataset(root, "train").clips_with_cross]
    assert names == ["train_000001", "train_000002"]


@pytest.mark.parametrize("pairs", [None, PairConfig(cross_fraction=0.5)])
def test_a_sample_does_not_depend_on_the_batch_around_it(clip_folder, pairs):
    dataset = ClipDataset(clip_folder(), "train")

    def draw(batch_size, step):
        return draw_batch(
            dataset, pairs=pairs, config=STRONG, batch_size=batch_size, seed=5, step=step
        )

    small, large, later = draw(2, 7), draw(6, 7), draw(2, 8)
    for name, tensor in small.items():
        assert torch.equal(tensor, large[name][:2]), name
    assert not torch.equal(small["eps"], later["eps"])
    assert not torch.equal(small["eps"][0], small["eps"][1])


def test_workers_change_nothing(clip_folder):
    batches = BatchDataset(
        dataset=ClipDataset(clip_folder(), "train"),
        pairs=PairConfig(cross_fraction=0.5),
        config=PLAIN,
        batch_size=2,
        seed=0,
        num_steps=5,
    )
    alone, helped = list(batches.loader(2, 0)), list(batches.loader(2, 1))
    assert len(alone) == len(helped) == 3
    for a, b in zip(alone, helped, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_cross_pairs_begin_at_cross_start(clip_folder):
    dataset = ClipDataset(clip_folder(), "train")
    pairs = PairConfig(cross_fraction=1.0, cross_start=3)
    before, after = (
        draw_batch(dataset, pairs=pairs, config=PLAIN, batch_size=8, seed=0, step=step)
        for step in (2, 3)
    )
    assert not before["is_cross"].any()
    assert after["is_cross"].all()


def test_cross_pairs_without_rendered_truth_show_the_source_as_reference(clip_folder):
    dataset = ClipDataset(clip_folder(), "train")
    pairs = PairConfig(cross_fraction=1.0, cross_frames=False)
    for index in range(30):
        pair = dataset.pair(sample_rng(1, 2, index), PLAIN, pairs, 0)
        np.testing.assert_array_equal(pair["source"], pair["reference"])
        np.testing.assert_array_equal(pair["source_mask"], pair["reference_mask"])
        # the identity tells the clip: the pose comes from another one
        assert pair["source_identity"][0] != pair["target_identity"][0]
    alone = ClipDataset(dataset.clip_set.root, "val")
    with pytest.raises(UserError, match="at least two clips"):
        alone.pair(sample_rng(0, 0, 0), PLAIN, pairs, 0)


def test_default_augmentation_is_the_exact_frame():
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = augment.apply(augment.draw(PLAIN, sample_rng(0, 0, 0)), frame)
    np.testing.assert_allclose(image, frame.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)


def test_one_draw_changes_all_frames_of_a_sample_alike():
    drawn = augment.draw(AugmentConfig(colour=0.3, brightness=0.2), sample_rng(3, 0, 0))
    dark, bright = (np.full((4, 4, 3), level, np.uint8) for level in (50, 100))
    a, b = augment.apply(drawn, dark), augment.apply(drawn, bright)
    # gain * intensity + shift: the difference of two grey levels shows the gain alone
    np.testing.assert_allclose((b - a)[:, 0, 0], drawn.gain * 50 / 127.5, atol=1e-5)


def test_flip_mirrors_image_and_mask_together():
    draws = [augment.draw(AugmentConfig(flip=True), sample_rng(0, 0, i)) for i in range(20)]
    drawn = next(draw for draw in draws if draw.flip)
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[:, 0] = 255
    assert augment.apply(drawn, frame)[0, 0].tolist() == [-1, -1, -1, 1]
    assert augment.apply_mask(drawn, frame[..., 0])[0, 0].tolist() == [0, 0, 0, 1]


def test_degraded_images_stay_in_range():
    frame = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for index in range(20):
        image = augment.apply(augment.draw(STRONG, sample_rng(0, 0, index)), frame)
        assert image.dtype == np.float32
        assert np.abs(image).max() <= 1 + 1e-6
