"""Preparation from raw videos to shards: right faces, masks, several processes, interruptions."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.optimize import linear_sum_assignment

from reenact.commands.prepare import report
from reenact.config import load_config, to_dict
from reenact.data.augment import AugmentConfig
from reenact.data.clips import Clip, open_clips
from reenact.data.dataset import ClipDataset, PairConfig, draw_batch, sample_rng
from reenact.data.prepare.layouts import SourceConfig, find_sources
from reenact.data.prepare.masks import MaskConfig, face_points, mesh_masks
from reenact.data.prepare.run import prepare
from reenact.data.prepare.run_config import ClipConfig, PrepareRun, StoreConfig
from reenact.data.prepare.tracking import ClipTracker
from reenact.data.synthetic.camera import Camera
from reenact.data.synthetic.clips import SyntheticConfig, plan_clip
from reenact.data.synthetic.raw import LAYOUTS, render_clip, write_raw, write_video
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import make_stage
from reenact.errors import UserError
from reenact.face.factory import FaceConfig
from reenact.face.open.model import OpenFaceModel
from reenact.face.open.stack import OpenFaceStack
from reenact.face.released.config import ReleasedConfig
from reenact.face.released.files import ReleasedFiles
from reenact.face.released.params import FlameParams
from reenact.media.images import write_frame
from reenact.processes import ALONE, World

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
SIDE, FRAMES = 128, 4


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> dict[str, Path]:
    """Four clips of two persons in every layout, all filmed with a good camera."""
    root = tmp_path_factory.mktemp("raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reenact.data.synthetic.stage.draw_camera", lambda rng: Camera())
        for layout in LAYOUTS:
            write_raw(root / layout, layout, 4 if layout == "flat" else 2, FRAMES, SIDE)
    return {layout: root / layout for layout in LAYOUTS}


def run_of(root: Path, out: Path, **source) -> PrepareRun:
    return PrepareRun(
        out=out,
        source=SourceConfig(root=root, **source),
        size=64,
        clip=ClipConfig(max_frames=3),
        store=StoreConfig(clips_per_shard=1),
    )


def run_quietly(run: PrepareRun, world: World = ALONE):
    return prepare(run, CPU, world, progress=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(raw, tmp_path_factory) -> Path:
    """An unbroken run over the flat layout."""
    out = tmp_path_factory.mktemp("whole")
    summary = run_quietly(run_of(raw["flat"], out))
    assert (summary.num_clips, summary.num_frames, summary.bad) == (4, 12, [])
    return out


def by_video(folder: Path) -> dict[str, Clip]:
    """Prepared clips by the name of their video, which is the same in every layout."""
    splits = {path.name.split("-")[0] for path in folder.glob("*.tar")}
    clips = [clip for split in splits for clip in open_clips(folder, split).clips]
    return {clip.name.split("#")[1]: clip for clip in clips}


def upright(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (N, 68, 2) without place, size and roll: the eyes at (-1, 0) and (1, 0)."""
    left, right = landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)
    unit = ((right - left) / 2)[:, None] @ np.array([1, 1j])
    return (landmarks - ((left + right) / 2)[:, None]) @ np.array([1, 1j]) / unit


def test_prepared_faces_are_those_that_were_rendered(whole):
    renderer, clips = Renderer(), [clip for _, clip in sorted(by_video(whole).items())]
    truths = [render_clip(renderer, index, FRAMES, SIDE)[1] for index in range(len(clips))]
    errors = np.zeros((len(clips), len(truths)))
    for index, clip in enumerate(clips):
        assert (clip.num_frames, clip.person) == (3, clip.name.split("#")[0])
        assert clip.frame(0).shape == (64, 64, 3)
        turn = (clip.params.rotation - truths[index].params.rotation[:3])[:, :2].abs()
        assert float(turn.mean()) < 0.15, clip.name
        for other, truth in enumerate(truths):
            change = upright(clip.landmarks) - upright(truth.landmarks[:3])
            errors[index, other] = np.abs(change)[:, 27:].mean()
    # In half distances between the eyes, which are about 6 pixels of the video here.
    assert errors.diagonal().max() < 0.2, errors
    # No other pairing of clips and truths fits as well as the true one.
    assert linear_sum_assignment(errors)[1].tolist() == list(range(len(clips))), errors


def test_masks_are_the_faces_outline(whole):
    face = OpenFaceModel()
    for clip in by_video(whole).values():
        masks = np.stack([clip.face_mask(n) for n in range(3)]) > 0
        own = mesh_masks(face_points(clip.landmarks, face.outline(clip.params).numpy()), 64)
        np.testing.assert_array_equal(masks, own)
        assert 0.1 < masks.mean() < 0.6


def test_masks_overlap_the_rendered_ones():
    """Face masks of the true parameters against the renderer's own, which end at the hairline."""
    renderer, model = Renderer(), OpenFaceModel()
    overlaps = []
    for index in range(3):
        config = SyntheticConfig(out=Path(), clips=1, frames=1, size=64)
        plan = plan_clip(config, index, renderer.asset)
        stage = make_stage(config, plan, index, renderer.asset)
        _, true = renderer.render(
            stage.person, plan.params[0], stage.light, stage.background, plan.crop_from_frame[0], 64
        )
        own = mesh_masks(face_points(plan.landmarks, model.outline(plan.params).numpy()), 64)[0]
        face = true.face > 127
        overlaps.append((own & face).sum() / (own | face).sum())
    assert min(overlaps) > 0.7
    assert np.mean(overlaps) > 0.8


@pytest.mark.parametrize("layout", ["frames_cropped", "release"])
def test_every_layout_shows_the_same_faces(raw, whole, tmp_path, layout):
    run_quietly(run_of(raw[layout], tmp_path))
    clips, reference = by_video(tmp_path), by_video(whole)
    assert len(clips) == 2
    for name, clip in clips.items():
        # without the video's compression, or cut by boxes first: about the same picture
        difference = clip.frame(1).astype(float) - reference[name].frame(1)
        assert np.abs(difference).mean() < 6
        assert np.abs(clip.landmarks - reference[name].landmarks).mean() < 1.0


def test_training_draws_pairs_from_shards(whole):
    dataset = ClipDataset(whole, "train")
    pairs = PairConfig(cross_fraction=0.5, cross_frames=False)
    batch = draw_batch(dataset, pairs=pairs, config=AugmentConfig(), batch_size=6, seed=0, step=0)
    assert batch["source"].shape == (6, 3, 64, 64)
    assert batch["source_mask"].shape == (6, 1, 64, 64)
    assert batch["target_expression"].shape == (6, 52)
    again = draw_batch(dataset, pairs=pairs, config=AugmentConfig(), batch_size=3, seed=0, step=0)
    assert all(torch.equal(value[:3], again[name]) for name, value in batch.items())


def test_a_second_start_does_nothing(raw, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.glob("*.tar")}
    content = contents(whole)
    summary = run_quietly(run_of(raw["flat"], whole))
    assert (summary.num_clips, summary.missing_shards) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in whole.glob("*.tar")} == before
    assert contents(whole) == content


def test_two_processes_make_what_one_makes(raw, whole, tmp_path):
    first = run_quietly(run_of(raw["flat"], tmp_path), World(rank=0, size=2))
    assert (first.num_clips, first.missing_shards, first.manifest) == (2, 2, None)
    assert "waiting for other processes: 2 shards not done yet" in report(
        first, World(rank=0, size=2)
    )
    second = run_quietly(run_of(raw["flat"], tmp_path), World(rank=1, size=2))
    assert second.manifest == tmp_path / "manifest.parquet"
    assert contents(tmp_path) == contents(whole)


def test_four_machines_without_a_common_disk_make_what_one_makes(raw, whole, tmp_path):
    together = tmp_path / "together"
    for number in range(4):
        own = tmp_path / f"machine{number}"
        part = run_quietly(run_of(raw["flat"], own), World.parse(f"{number}/4"))
        assert (part.num_clips, part.missing_shards, part.manifest) == (1, 3, None)
        shutil.copytree(own, together, dirs_exist_ok=True)
    last = run_quietly(run_of(raw["flat"], together))
    assert (last.num_clips, last.missing_shards) == (0, 0)
    assert contents(together) == contents(whole)


def test_bad_clips_are_left_out_with_their_reason(raw, tmp_path):
    root, out = tmp_path / "raw", tmp_path / "out"
    (root / "train").mkdir(parents=True)
    good = next((raw["flat"] / "train").glob("*.mp4"))
    shutil.copy(good, root / "train" / "a#good.mp4")
    (root / "train" / "b#damaged.mp4").write_bytes(good.read_bytes()[:300])
    (root / "train" / "c#empty.mp4").touch()
    write_video(root / "train" / "d#noface.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 3)
    write_frame_folder(root / "train" / "e#sizes", [(40, 40), (50, 40)])
    summary = run_quietly(run_of(root, out))
    assert summary.num_clips == 1
    lines = [json.loads(line) for line in (out / "bad.jsonl").read_text().splitlines()]
    reasons = {line["name"]: line["reason"] for line in lines}
    assert sorted(reasons) == ["b#damaged", "c#empty", "d#noface", "e#sizes"]
    assert "no face in 3 frames" in reasons["d#noface"]
    assert "the file is empty" in reasons["c#empty"]
    assert "different sizes" in reasons["e#sizes"]
    assert {line["source"] for line in lines} >= {"train/b#damaged.mp4"}
    said = report(summary, ALONE)
    assert said.startswith("1 clip, ")
    assert "4 bad clips" in said
    assert [clip.name for clip in open_clips(out, "train").clips] == ["a#good"]


def write_frame_folder(folder: Path, sizes: list[tuple[int, int]]) -> None:
    folder.mkdir()
    for n, (height, width) in enumerate(sizes):
        write_frame(folder / f"{n:03d}.png", np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (ClipConfig(min_found=0.8), "a face in only 2 of 4 frames, min_found is 0.8"),
        (ClipConfig(min_found=0.1, min_frames=3), "2 frames with a face, min_frames is 3"),
        (ClipConfig(min_found=0.1, min_side=500), "pixels wide, min_side is 500"),
    ],
)
def test_frames_without_a_face_are_dropped_or_too_many(tmp_path, clip, reason):
    frames, _ = render_clip(Renderer(), 0, 2, SIDE)
    blank = np.full_like(frames[0], 90)
    write_video(tmp_path / "train" / "a#1.mp4", [frames[0], blank, frames[1], blank])
    run = run_of(tmp_path, tmp_path / "out")
    tracker = ClipTracker(replace(run, clip=ClipConfig(min_found=0.5)), CPU)
    source = find_sources(run.source)[0]
    prepared = tracker.prepare(source)
    assert (len(prepared.frames), prepared.num_dropped) == (2, 2)
    tracker.run = replace(run, clip=clip)
    with pytest.raises(UserError, match=reason):
        tracker.prepare(source)


def test_all_clips_bad_is_an_error_with_the_first_reason(tmp_path):
    write_video(tmp_path / "train" / "a#1.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 2)
    with pytest.raises(UserError, match=r"no usable clip, 1 bad, the first because: .*no face"):
        run_quietly(run_of(tmp_path, tmp_path / "out"))


def test_other_settings_in_a_begun_folder_are_refused(raw, whole):
    run = replace(run_of(raw["flat"], whole), clip=ClipConfig(max_frames=2))
    with pytest.raises(UserError, match=r"was begun with clip\.max_frames = 3, now it is 2"):
        run_quietly(run)


def test_clips_that_come_later_get_shards_of_their_own(raw, whole, tmp_path):
    root, out = tmp_path / "raw", tmp_path / "out"
    shutil.copytree(raw["flat"], root)
    late = sorted((root / "train").glob("*.mp4"))[0]
    hidden = tmp_path / late.name
    late.rename(hidden)
    run_quietly(run_of(root, out))
    before = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    hidden.rename(late)
    summary = run_quietly(run_of(root, out))
    assert summary.num_clips == 1
    assert all((out / name).read_bytes() == content for name, content in before.items())
    assert by_video(out).keys() == by_video(whole).keys()


def test_a_parsing_network_draws_the_masks(raw, tmp_path):
    class Parser(torch.nn.Module):
        """Label 1 in the left half, 0 elsewhere, at half the resolution."""

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            scores = torch.zeros(x.shape[0], 14, x.shape[2] // 2, x.shape[3] // 2)
            scores[:, 1, :, : x.shape[3] // 4] = 1.0
            return scores, x

    path = tmp_path / "parser.pt"
    torch.jit.script(Parser()).save(str(path))
    masks = MaskConfig(kind="parsing", parsing=path, parsing_side=64)
    run = replace(run_of(raw["frames_cropped"], tmp_path / "out"), masks=masks)
    with warnings.catch_warnings(action="error", category=FutureWarning):
        run_quietly(run)
    mask = next(iter(by_video(tmp_path / "out").values())).face_mask(0)
    assert (mask[:, :31] == 255).all()
    assert (mask[:, 33:] == 0).all()
    path.write_bytes(b"no network")
    with pytest.raises(UserError, match=r"parser\.pt: cannot be read as a TorchScript network"):
        ClipTracker(run, CPU)


class FlameStack:
    """The open stack that gives what it reads as FLAME parameters, all zero but the pose."""

    def __init__(self) -> None:
        self.open = OpenFaceStack()

    def target_motion(self, frames, fps, size, watch=None):
        motion = self.open.target_motion(frames, fps, size, watch)
        zeros = {
            name: torch.zeros(len(motion), width)
            for name, width in (("shape", 100), ("expression", 50), ("cam", 3), ("gaze", 2))
        }
        pose = torch.arange(len(motion))[:, None].expand(-1, 6).float()
        return replace(motion, params=FlameParams(**zeros, pose=pose))

    def cut(self, frame, crop):
        return self.open.cut(frame, crop)


def test_the_published_stacks_parameters_are_stored_with_masks_of_the_open_tracker(
    raw, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr("reenact.data.prepare.tracking.make_face_stack", lambda *_: FlameStack())
    face = FaceConfig(released=ReleasedConfig(files=ReleasedFiles(folder=tmp_path)))
    run = replace(run_of(raw["frames_cropped"], tmp_path / "out"), size=256, face=face)
    run_quietly(run)
    dataset = ClipDataset(tmp_path / "out", "train")
    assert dataset.face == "released"
    clip = dataset.clips[0]
    assert isinstance(clip.params, FlameParams)
    assert clip.params.pose[:, 0].tolist() == [0, 1, 2]
    other = by_video(whole)[clip.name.split("#")[1]]
    assert np.abs(clip.landmarks / 4 - other.landmarks).mean() < 1.5
    small = clip.face_mask(0).reshape(64, 4, 64, 4).mean((1, 3)) > 127
    mask = other.face_mask(0) > 0
    assert (small & mask).sum() / (small | mask).sum() > 0.85
    sample = dataset.pair(sample_rng(0, 0, 0), AugmentConfig(), PairConfig(), 0)
    assert sample["source_shape"].shape == (100,)
    assert sample["target_pose"].shape == (6,)


def test_the_shipped_config_is_read_and_parsing_needs_a_network():
    run = load_config(ROOT / "configs/voxceleb256/prepare.yaml", PrepareRun)
    assert run.size == 256
    with pytest.raises(UserError, match="parsing needs a network, set"):
        load_config(ROOT / "configs/voxceleb256/prepare.yaml", PrepareRun, ["masks.kind=parsing"])


def is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@pytest.mark.slow
def test_kill_minus_nine_at_random_moments_then_resume_equals_an_unbroken_run(raw, whole, tmp_path):
    out = tmp_path / "out"
    config = tmp_path / "prepare.yaml"
    config.write_text(yaml.safe_dump(to_dict(run_of(raw["flat"], out))))
    command = [
        sys.executable,
        "-m",
        "reenact",
        "prepare",
        "--config",
        str(config),
        "--device",
        "cpu",
    ]
    # Bytes are equal where the threads are: their number decides the rounding of sums.
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(40):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=-3, stderr=-3)
        # once it writes a shard, so that kills fall into the work and not into the imports
        while process.poll() is None and not any(map(is_locked, out.glob("*.part"))):
            time.sleep(0.01)
        # early at first, so that a fast machine is hit, too; later, so that a slow one gets on
        time.sleep(float(rng.uniform(0, 0.15 * (kills + 1))))
        if process.poll() is not None:
            assert process.returncode == 0
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills > 1
    assert contents(out) == contents(whole)
