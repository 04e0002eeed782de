"""Tar shards of clips: writing, reading, damage and interrupted writers."""

import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reenact.data.augment import AugmentConfig
from reenact.data.clips import open_clips
from reenact.data.dataset import ClipDataset, PairConfig
from reenact.data.manifest import ClipRow, read_manifest, write_manifest
from reenact.data.shards import BadClip, ShardWriter, is_closed, journal_path, read_journal
from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.factory import STACKS
from reenact.face.params import FaceParams

SIZE = 24


def clip_row(name: str, split: str = "train", **kwargs) -> ClipRow:
    row = {"person": name[:1], "fps": 5.0, "num_dropped": 0, "source": f"{name}.mp4"}
    return ClipRow(name=name, split=split, **(row | kwargs))


def clip_data(seed: int, num_frames: int = 3) -> tuple[bytes, list[bytes], dict]:
    """npz and JPEG frames of random content, and what they hold."""
    rng = np.random.default_rng(seed)
    params = FaceParams.neutral(num_frames).numpy()
    params["rotation"] = rng.normal(size=(num_frames, 3)).astype(np.float32)
    masks = rng.random((num_frames, SIZE, SIZE)) < 0.5
    landmarks = rng.random((num_frames, 68, 2)).astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, **params, masks=np.packbits(masks, axis=-1), landmarks=landmarks, fps=5.0
    )
    frames = []
    for n in range(num_frames):
        jpeg = io.BytesIO()
        colour = (20 * seed, 10 * n, 90)
        Image.new("RGB", (SIZE, SIZE), colour).save(jpeg, "JPEG", quality=95, subsampling=0)
        frames.append(jpeg.getvalue())
    return buffer.getvalue(), frames, {"params": params, "masks": masks, "landmarks": landmarks}


def write_shard(folder: Path, names: list[str], shard: str = "train-00000") -> None:
    """What a run does with a shard: go on where the journal ends."""
    with ShardWriter(folder, shard) as writer:
        for seed, name in enumerate(names):
            if name in writer.journal.done:
                continue
            if name.startswith("bad"):
                writer.leave_out(BadClip(name=name, source=f"{name}.mp4", reason="no face"))
            else:
                npz, frames, _ = clip_data(seed)
                writer.add(clip_row(name, shard.split("-")[0]), npz, frames, ".jpg")
        writer.close()


@pytest.fixture
def clips(tmp_path) -> Path:
    """Two shards, a clip left out, and their manifest."""
    write_shard(tmp_path, ["a#0", "bad", "b#0"])
    write_shard(tmp_path, ["c#0"], "test-00000")
    rows = [
        row
        for shard in ("train-00000", "test-00000")
        for row in read_journal(journal_path(tmp_path, shard)).rows
    ]
    write_manifest(tmp_path / "manifest.parquet", rows, size=SIZE, face="open")
    return tmp_path


def test_a_shard_is_an_ordinary_tar(clips):
    with tarfile.open(clips / "train-00000.tar") as tar:
        names = tar.getnames()
        assert names[:2] == ["a#0.npz", "a#0.000000.jpg"]
        assert len(names) == 2 * 4
        content = tar.extractfile("b#0.000001.jpg").read()
    assert content == clip_data(2)[1][1]


def test_clips_are_read_in_place(clips):
    train = open_clips(clips, "train")
    assert [clip.name for clip in train.clips] == ["a#0", "b#0"]
    assert (train.size, train.fps, train.face, len(train)) == (SIZE, 5.0, "open", 2)
    clip = train.by_name["b#0"]
    assert (clip.person, clip.split, clip.num_frames, clip.cross) == ("b", "train", 3, [])
    _, _, truth = clip_data(2)
    for n in range(3):
        colour = np.array([40, 10 * n, 90])
        assert np.abs(clip.frame(n).astype(int) - colour).max() <= 3
        np.testing.assert_array_equal(clip.face_mask(n) > 0, truth["masks"][n])
    assert set(np.unique(clip.face_mask(0))) == {0, 255}
    torch.testing.assert_close(clip.params.rotation, torch.from_numpy(truth["params"]["rotation"]))
    np.testing.assert_array_equal(clip.landmarks, truth["landmarks"])
    with pytest.raises(IndexError):
        clip.frame(3)


def test_fingerprint_follows_the_manifest(clips):
    before = open_clips(clips, "train").fingerprint
    assert before == open_clips(clips, "test").fingerprint
    write_manifest(clips / "manifest.parquet", [clip_row("x")], size=SIZE, face="open")
    assert open_clips(clips, "train").fingerprint != before


def test_missing_split_names_those_there(clips):
    with pytest.raises(UserError, match=r"no clips of split 'val'.*test, train"):
        open_clips(clips, "val")


def test_damaged_shards_are_one_line(clips):
    path = clips / "train-00000.tar"
    content = path.read_bytes()
    clip = open_clips(clips, "train").clips[1]
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"train-00000\.tar: the shard ends before byte \d+"):
        clip.frame(2)
    path.write_bytes(bytes(len(content)))
    with pytest.raises(UserError, match=r"b#0: cannot decode frame 0"):
        clip.frame(0)
    with pytest.raises(UserError, match=r"damaged at byte \d+"):
        _ = clip.params
    path.unlink()
    with pytest.raises(UserError, match=r"cannot read the shard \(no such file"):
        clip.frame(0)


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing", None])
def test_damaged_manifest_is_one_line(clips, content):
    path = clips / "manifest.parquet"
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    with pytest.raises(UserError, match=r"manifest\.parquet: not a manifest of prepared clips"):
        read_manifest(path)


def test_the_same_rows_give_the_same_manifest(tmp_path):
    rows = [clip_row(f"a#{i}", frame_sizes=[i, 2 * i]) for i in range(50)]
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for path in paths:
        write_manifest(path, rows, size=SIZE, face="released")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    manifest = read_manifest(paths[0])
    assert [manifest.row(i) for i in range(50)] == rows
    assert (manifest.size, manifest.face) == (SIZE, "released")


def test_a_kill_at_any_byte_changes_nothing_in_the_end(tmp_path):
    names = ["a#0", "bad", "b#0", "c#0"]
    whole = tmp_path / "whole"
    whole.mkdir()
    write_shard(whole, names)
    tar, journal = (
        (whole / "train-00000.tar").read_bytes(),
        (whole / "train-00000.jsonl").read_bytes(),
    )
    # What a kill leaves: the bytes up to some moment, clip data always ahead of its journal line.
    ends = [0]
    rows = read_journal(whole / "train-00000.jsonl").rows
    ends += [rows[1].offset, rows[1].offset, rows[2].offset, len(tar) - 1024]
    lines = journal.splitlines(keepends=True)
    rng = np.random.default_rng(0)
    for case in range(60):
        broken = tmp_path / f"broken{case}"
        broken.mkdir()
        k = int(rng.integers(len(lines) + 1))
        half = b"" if k == len(lines) else lines[k][: rng.integers(len(lines[k]))]
        # while a journal line is written its clip is whole; else the next clip is half there
        reach = ends[k + 1] if half else int(rng.integers(ends[k], ends[min(k + 1, 4)] + 1))
        (broken / "train-00000.tar.part").write_bytes(tar[:reach])
        (broken / "train-00000.jsonl").write_bytes(b"".join(lines[:k]) + half)
        write_shard(broken, names)
        assert (broken / "train-00000.tar").read_bytes() == tar, case
        assert (broken / "train-00000.jsonl").read_bytes() == journal, case
        assert not (broken / "train-00000.tar.part").exists()


def test_a_journal_ahead_of_its_data_is_taken_back(tmp_path):
    """After a power failure; a clip whose bytes are not there must not be believed."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
        write_shard(folder, ["a#0", "b#0"])
    tar = (broken / "train-00000.tar").read_bytes()
    (broken / "train-00000.tar").rename(broken / "train-00000.tar.part")
    (broken / "train-00000.tar.part").write_bytes(tar[:2000])
    write_shard(broken, ["a#0", "b#0"])
    assert (broken / "train-00000.tar").read_bytes() == (whole / "train-00000.tar").read_bytes()


def test_two_writers_of_one_shard_are_refused(tmp_path):
    with (
        ShardWriter(tmp_path, "train-00000"),
        pytest.raises(UserError, match="another process writes this shard"),
        ShardWriter(tmp_path, "train-00000"),
    ):
        pass
    assert not is_closed(tmp_path, "train-00000")


def test_a_damaged_journal_of_a_closed_shard_is_named(clips):
    path = clips / "train-00000.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train-00000\.jsonl: damaged after byte"):
        read_journal(path)


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanColour(FaceBatch):
    """The parameters of a face stack that nobody needs."""

    colour: Tensor
    WIDTHS: ClassVar[dict[str, tuple[int, ...]]] = {"colour": (3,)}

    def head_angles_deg(self) -> Tensor:
        return torch.zeros(len(self), 3)


def test_a_new_face_stack_is_one_entry_of_the_factory(tmp_path, monkeypatch):
    """Its clips are read and paired. No other module needs to know it."""
    entry = replace(STACKS["open"], params=MeanColour, has_places=False)
    colours, landmarks = np.eye(3, dtype=np.float32), np.ones((3, 68, 2), np.float32)
    npz = io.BytesIO()
    masks = np.zeros((3, SIZE, SIZE // 8), np.uint8)
    np.savez_compressed(npz, colour=colours, masks=masks, landmarks=landmarks)
    with ShardWriter(tmp_path, "train-00000") as writer:
        row = writer.add(clip_row("a#0"), npz.getvalue(), clip_data(0)[1], ".jpg")
        writer.close()
    path = tmp_path / "manifest.parquet"
    write_manifest(path, [row], size=SIZE, face="new")
    with pytest.raises(UserError, match="not a manifest of prepared clips"):
        read_manifest(path)
    monkeypatch.setitem(STACKS, "new", entry)
    dataset = ClipDataset(tmp_path, "train")
    assert dataset.face == "new"
    assert isinstance(dataset.clips[0].params, MeanColour)
    pair = dataset.pair(np.random.default_rng(0), AugmentConfig(), PairConfig(), step=0)
    assert pair["target_colour"].sum() == 1
    assert np.array_equal(pair["target_landmarks"], landmarks[0])
