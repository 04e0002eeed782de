"""What is drawn and how it is stored."""

import dataclasses
import json

import numpy as np
import pytest

from reenact.data.synthetic import generate as generate_module
from reenact.data.synthetic.clips import SyntheticConfig, cross_targets, plan_clip
from reenact.data.synthetic.generate import CROSS_SHOT, generate, write_clip
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage
from reenact.errors import UserError
from reenact.face.params import FaceParams, retarget
from reenact.face.surface.raster import PLAIN, rasterize

SIZE = 32


@pytest.fixture(scope="module")
def renderer():
    return Renderer()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    return SyntheticConfig(out=out, clips=2, frames=3, size=SIZE, workers=1, cross=2)


@pytest.fixture(scope="module")
def written(config):
    manifest = generate(config)
    return json.loads(manifest.read_text())


def test_rasterizer_interpolates_and_keeps_the_nearest():
    xy = np.array([[0, 0], [8, 0], [0, 8], [0, 0], [8, 0], [0, 8]], np.float32)
    depth = np.array([0.5, 0.5, 0.5, 0.2, 0.9, 0.9], np.float32)
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    ids, bary = rasterize(xy, depth, triangles, np.full(2, PLAIN), 8, 8)
    assert ids[0, 0] == 1
    assert ids[0, 7] == 0
    assert ids[7, 7] == -1
    np.testing.assert_allclose(bary[1, 2], [1 - 4 / 8, 2.5 / 8, 1.5 / 8], atol=1e-5)


def test_manifest_and_files_follow_the_layout(config, written):
    assert written["size"] == SIZE
    assert [clip["name"] for clip in written["clips"]] == ["train_000000", "train_000001"]
    assert {clip["split"] for clip in written["clips"]} == {"train"}
    for clip in written["clips"]:
        folder = config.out / clip["name"]
        frames = np.load(folder / "frames.npy")
        assert frames.shape == (3, SIZE, SIZE, 3)
        assert frames.dtype == np.uint8
        assert frames.std() > 20
        params = np.load(folder / "params.npz")
        assert params["landmarks"].shape == (3, 68, 2)
        assert params["pupils"].shape == (3, 2, 2)
        assert params["crop_from_frame"].shape == (3, 3, 3)
        assert len(FaceParams.from_numpy(params)) == 3
        assert int(params["person_seed"]) == clip["person"]
    assert not list(config.out.glob("*.tmp"))


def test_the_photo_goes_on_around_the_first_frame(config, written):
    folder = config.out / "train_000000"
    arrays = {name: np.load(folder / f"{name}.npy") for name in ("photo", "frames", "foreground")}
    photo, half = arrays["photo"], SIZE // 2
    assert photo.shape == (2 * SIZE, 2 * SIZE, 4)
    inside = photo[half : half + SIZE, half : half + SIZE]
    np.testing.assert_array_equal(inside[..., :3], arrays["frames"][0])
    np.testing.assert_array_equal(inside[..., 3], arrays["foreground"][0])
    # The picture goes on across the crop's border without a step: neighbours differ as inside.
    columns = photo[..., :3].astype(int)
    step = np.abs(np.diff(columns, axis=1)).mean((0, 2))
    assert step[[half - 1, half + SIZE - 1]].max() < 2 * step.mean() + 2
    # The person goes on, too: alpha has no step at the lower border of the crop.
    below, above = photo[half + SIZE, :, 3].astype(int), photo[half + SIZE - 1, :, 3]
    assert np.abs(below - above).mean() < 0.2 * above.mean()


def test_a_missing_photo_is_added_and_nothing_else_is_drawn(config, written, renderer):
    path = config.out / "train_000001" / "photo.npy"
    before = path.read_bytes()
    path.unlink()
    assert not write_clip(config, 1, renderer)
    assert path.read_bytes() == before


def test_a_clip_of_another_generator_gets_no_photo(config, written, renderer):
    other = dataclasses.replace(config, seed=config.seed + 1)
    path = config.out / "train_000001" / "photo.npy"
    before = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(UserError, match="another version of the generator"):
            write_clip(other, 1, renderer)
    finally:
        path.write_bytes(before)


def test_masks_are_coverages_inside_each_other(config, written):
    for clip in written["clips"]:
        folder = config.out / clip["name"]
        face, foreground = np.load(folder / "masks.npy"), np.load(folder / "foreground.npy")
        assert face.shape == foreground.shape == (3, SIZE, SIZE)
        assert face.dtype == foreground.dtype == np.uint8
        assert (face <= foreground).all()
        assert 0.08 < (face > 127).mean() < 0.6
        assert 0.3 < (foreground > 127).mean() < 0.95
        landmarks = np.load(folder / "params.npz")["landmarks"]
        # The tip of the nose is on the face.
        x, y = np.clip(landmarks[:, 30].astype(int), 0, SIZE - 1).T
        assert (face[np.arange(3), y, x] > 127).all()


def test_clip_is_the_same_every_time(config, written, renderer, tmp_path):
    again = dataclasses.replace(config, out=tmp_path, clips=2)
    write_clip(again, 1, renderer)
    for name in ("frames", "masks", "cross_frames"):
        first = np.load(config.out / "train_000001" / f"{name}.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "train_000001" / f"{name}.npy"), first)


def test_cross_frames_follow_retarget(config, written, renderer):
    folder = config.out / "train_000000"
    records = json.loads((folder / "cross.json").read_text())
    targets = cross_targets(config, 0)
    assert [(r["target_clip"], r["target_frame"]) for r in records] == [
        (f"train_{clip:06d}", frame) for clip, frame in targets
    ]
    source = FaceParams.from_numpy(np.load(folder / "params.npz"))[0]
    stored = FaceParams.from_numpy(np.load(folder / "cross_params.npz"))
    plan = plan_clip(config, 0)
    stage = make_stage(config, plan, 0, renderer.asset)
    frames = np.load(folder / "cross_frames.npy")
    for n, record in enumerate(records):
        file = config.out / record["target_clip"] / "params.npz"
        target = FaceParams.from_numpy(np.load(file))[record["target_frame"]]
        expected = retarget(source, target)
        for name, value in expected.numpy().items():
            np.testing.assert_array_equal(stored[n].numpy()[name], value)
        crop = plan.crop_from_frame[0]
        frame, _ = draw_frame(renderer, stage, expected, crop, SIZE, CROSS_SHOT + n)
        np.testing.assert_array_equal(frames[n], frame)


def test_finished_clips_are_left_alone_and_killed_ones_leave_nothing(
    config, written, renderer, tmp_path, monkeypatch
):
    small = dataclasses.replace(config, out=tmp_path, clips=3, cross=0)
    write_clip(small, 0, renderer)
    marker = tmp_path / "train_000000" / "frames.npy"
    marker.write_bytes(b"kept")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(generate_module, "_write_cross", killed)
    with pytest.raises(KeyboardInterrupt):
        write_clip(small, 1, renderer)
    assert not (tmp_path / "train_000001").exists()
    monkeypatch.undo()
    monkeypatch.setattr(generate_module, "Renderer", lambda: renderer)
    manifest = json.loads(generate(small).read_text())
    assert len(manifest["clips"]) == 3
    assert marker.read_bytes() == b"kept"
    assert not list(tmp_path.glob("*.tmp"))


def test_manifest_of_another_size_is_refused(config, written):
    with pytest.raises(ValueError, match="size 32"):
        generate(dataclasses.replace(config, size=64))


@pytest.mark.parametrize("change", [{"seed": 99}, {"frames": 1}])
def test_clips_of_another_seed_or_length_are_not_taken_for_the_asked_ones(config, written, change):
    before = (config.out / "manifest.json").read_bytes()
    with pytest.raises(UserError, match="another seed or number of frames"):
        generate(dataclasses.replace(config, **change))
    assert (config.out / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"clips": [1], "size": 32}'])
def test_a_damaged_manifest_is_one_line(text: str, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json: damaged"):
        generate(SyntheticConfig(out=tmp_path, clips=1))


def test_render_refuses_another_person_and_batches(config, written, renderer):
    plan = plan_clip(config, 0)
    stage = make_stage(config, plan, 0, renderer.asset)
    crop = plan.crop_from_frame[0]
    rest = (stage.light, stage.background, crop, SIZE)
    with pytest.raises(ValueError, match="identity"):
        renderer.render(stage.person, plan_clip(config, 1).params[0], *rest)
    with pytest.raises(ValueError, match="one is drawn"):
        renderer.render(stage.person, plan.params, *rest)


def test_head_moves_with_translation(config, written, renderer):
    """Shifting `translation` by whole pixels shifts the foreground mask by as many."""
    plan = plan_clip(config, 0)
    stage = make_stage(config, plan, 0, renderer.asset)
    crop = plan.crop_from_frame[0]
    face = plan.params[0]
    moved = dataclasses.replace(face, translation=face.translation + 3)
    rest = (stage.light, stage.background, crop, SIZE)
    _, here = renderer.render(stage.person, face, *rest)
    _, there = renderer.render(stage.person, moved, *rest)
    difference = here.face[:-3, :-3].astype(int) - there.face[3:, 3:]
    assert np.abs(difference).mean() < 2


def test_layers_put_together_give_the_frame(config, renderer, tmp_path):
    layered = dataclasses.replace(config, out=tmp_path, layers=True, size=64, cross=0)
    write_clip(layered, 0, renderer)
    folder = tmp_path / "train_000000"
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    layers = {"hair", "head", "occluder", "plate", "normals", "hidden"}
    assert set(arrays) == {"frames", "masks", "foreground", "photo"} | layers
    assert arrays["plate"].shape == arrays["frames"].shape
    for part in ("hair", "head"):
        assert (arrays[part] <= arrays["foreground"].astype(int) + 1).all()
    assert (arrays["hair"] <= arrays["head"].astype(int) + 1).all()
    # Nothing but background lies where no part of the person is, up to the camera's noise.
    bare = arrays["foreground"] == 0
    bare[:, :, 1:] &= bare[:, :, :-1]
    assert bare.mean() > 0.1
    gap = np.abs(arrays["frames"].astype(int) - arrays["plate"])[bare]
    assert np.median(gap) < 6


@pytest.mark.slow
def test_workers_draw_the_same_clips(config, written, tmp_path):
    generate(dataclasses.replace(config, out=tmp_path, workers=2))
    for name in ("train_000000", "train_000001"):
        first = np.load(config.out / name / "frames.npy")
        np.testing.assert_array_equal(np.load(tmp_path / name / "frames.npy"), first)
