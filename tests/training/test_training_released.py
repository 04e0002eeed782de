"""Training on clips that the authors' face stack read."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reenact.config import from_dict, to_dict
from reenact.data.manifest import ClipRow, write_manifest
from reenact.data.shards import ShardWriter, journal_path, read_journal
from reenact.errors import UserError
from reenact.face.factory import FaceConfig, make_face_model
from reenact.face.released import params as flame
from reenact.face.released.config import ReleasedConfig
from reenact.face.released.files import ReleasedFiles
from reenact.face.released.model import ReleasedFaceModel
from reenact.face.released.params import FlameParams
from reenact.training.drawer import Drawer
from reenact.training.loop import train
from reenact.training.run_config import TrainRun

CPU = torch.device("cpu")
WIDTHS = {"shape": 100, "expression": 50, "pose": 6, "cam": 3, "gaze": 2}


class KnownFace:
    """Takes the place of a face model with the authors' weights. The colours of its drawing are the
    means of shape, expression and pose.
    """

    retarget = staticmethod(flame.retarget)
    head_region = ReleasedFaceModel.head_region

    def landmark_map(self, params: FlameParams, size: int) -> Tensor:
        means = [params.shape.mean(1), params.expression.mean(1), params.pose.mean(1)]
        return torch.stack(means, 1)[:, :, None, None].expand(-1, 3, size, size)


@pytest.fixture(autouse=True)
def known_face(monkeypatch):
    def make(config, device):
        return KnownFace() if config.released else make_face_model(config, device)

    monkeypatch.setattr("reenact.training.drawer.make_face_model", make)


@pytest.fixture
def clips(tmp_path):
    """A shard of two clips of noise at 16 px."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "released"
    folder.mkdir()
    with ShardWriter(folder, "train-00000") as writer:
        for name in ("a", "b"):
            params = {n: rng.normal(size=(3, w)).astype(np.float32) for n, w in WIDTHS.items()}
            landmarks = (16 * rng.random((3, 68, 2))).astype(np.float32)
            masks = np.packbits(rng.random((3, 16, 16)) < 0.5, axis=-1)
            npz, frames = io.BytesIO(), []
            np.savez_compressed(npz, **params, landmarks=landmarks, masks=masks, fps=5.0)
            for _ in range(3):
                jpeg = io.BytesIO()
                noise = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(noise).save(jpeg, "JPEG")
                frames.append(jpeg.getvalue())
            row = ClipRow(
                name=name,
                person=name,
                split="train",
                fps=5.0,
                num_dropped=0,
                source=f"{name}.mp4",
            )
            writer.add(row, npz.getvalue(), frames, ".jpg")
        writer.close()
    rows = read_journal(journal_path(folder, "train-00000")).rows
    write_manifest(folder / "manifest.parquet", rows, size=16, face="released")
    return folder


def released(run: TrainRun, clips) -> TrainRun:
    values = to_dict(run)
    values["data"] |= {"root": str(clips), "val_split": "train"}
    return from_dict(TrainRun, values | {"face": {"released": {"files": {"folder": "weights"}}}})


@pytest.mark.parametrize("stage", ["autoencoder", "align", "reenact"])
def test_all_stages_train_on_published_parameters(make_run, clips, stage):
    run = released(make_run(stage, num_steps=2), clips)
    if stage == "reenact":
        weights = dataclasses.replace(run.reenact.weights, identity=1.0)
        changes = {"cross_fraction": 0.5, "cross_reference": False, "weights": weights}
        run = dataclasses.replace(run, reenact=dataclasses.replace(run.reenact, **changes))
    logging = dataclasses.replace(run.logging, preview_every=2, validate_every=2)
    assert train(dataclasses.replace(run, logging=logging), CPU) == 2
    assert run.export.is_file()
    assert len(list((run.run_dir / "previews").iterdir())) == 1


def test_the_drawing_has_the_sources_shape_and_the_targets_motion():
    faces = {n: torch.randn(2, w) for n, w in WIDTHS.items()}
    batch = {f"source_{n}": t for n, t in faces.items()}
    batch |= {f"target_{n}": t + 1 for n, t in faces.items()}
    batch["source_landmarks"], batch["target_landmarks"] = torch.rand(2, 2, 68, 2)
    face = FaceConfig(released=ReleasedConfig(files=ReleasedFiles()))
    draw = Drawer(face, 16, CPU, has_motion=False)
    drawn = draw.target(batch)[..., 0, 0]
    still = draw.drawings(batch).landmark_map(of_source=True)[..., 0, 0]
    torch.testing.assert_close(drawn - still, torch.tensor([[0.0, 1.0, 1.0]]).expand(2, 3))
    assert draw.motion(batch) is None
    assert draw.head_region(batch).shape == (2, 1, 16, 16)
    assert torch.equal(draw.target_landmarks(batch), batch["target_landmarks"])


def test_what_published_parameters_cannot_do_is_a_user_error(make_run, clips):
    run = released(make_run("reenact"), clips)
    weights = dataclasses.replace(run.reenact.weights, gaze=1.0, shape=1.0)
    wrong = dataclasses.replace(run, reenact=dataclasses.replace(run.reenact, weights=weights))
    with pytest.raises(UserError, match="gaze, shape compare the open tracker's reading"):
        train(wrong, CPU)
    run = released(make_run("align", align={"motion_head": True}), clips)
    with pytest.raises(UserError, match=r"set align\.motion_head to false"):
        train(run, CPU)


def test_clips_and_face_stack_must_go_together(make_run, clips):
    run = make_run("align")
    with pytest.raises(UserError, match=r"read by the open face stack, .* names the released one"):
        train(released(run, run.data.root), CPU)
    lacking = dataclasses.replace(released(run, clips), face=FaceConfig())
    with pytest.raises(UserError, match=r"read by the released face stack, .* names the open one"):
        train(lacking, CPU)


def test_what_only_the_open_stack_can_do_is_refused(make_run, clips):
    run = released(make_run("align"), clips)
    augment = dataclasses.replace(run.data.augment, misfit=0.5)
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, augment=augment))
    with pytest.raises(UserError, match="misfit must be 0"):
        train(run, CPU)
    with pytest.raises(UserError, match=r"set reenact\.x_T to source"):
        ReleasedFaceModel.motion_field(None, None, None, 16, 16)
