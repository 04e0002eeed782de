import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from reenact.commands.main import run_command
from reenact.errors import UserError
from reenact.inference.inputs import open_target
from reenact.inference.motion import driving_faces, reference_frame
from reenact.inference.motion_file import FORMAT, load_motion, save_motion
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import AnimateOptions
from reenact.inference.shipped_motions import shipped_motion, shipped_names
from reenact.media.images import read_frame


@pytest.fixture
def reenactor(weights_path) -> Reenactor:
    return Reenactor.load(weights_path, device="cpu")


@pytest.fixture
def motion(reenactor, fake_face, make_clip, monkeypatch):
    times = [Fraction(i * i, 50) for i in range(5)]
    monkeypatch.setattr(reenactor, "face", fake_face)
    return reenactor.track(open_target(make_clip(num_frames=5, times=times, missing=(2,))))


def test_a_motion_comes_back_equal(motion, tmp_path):
    path = tmp_path / "a.motion.safetensors"
    save_motion(motion, path)
    again = load_motion(path)
    assert again.timeline == motion.timeline
    assert (again.size, again.is_picture) == (motion.size, False)
    for name, value in motion.tracked.params.tensors().items():
        assert torch.equal(again.tracked.params.tensors()[name], value)
    for name in ("found", "person", "shot", "crop_followed"):
        assert np.array_equal(getattr(again.tracked, name), getattr(motion.tracked, name))
    for a, b in zip(again.tracked.crops, motion.tracked.crops, strict=True):
        assert np.array_equal(a.crop_from_frame, b.crop_from_frame)


def test_a_motion_file_drives_like_its_video(motion, reenactor, photo, tmp_path):
    path = tmp_path / "a.motion.safetensors"
    save_motion(motion, path)
    source = read_frame(photo)
    frames = [
        list(reenactor.animate(source, target, compose="crop", output_size=32))
        for target in (motion, load_motion(path))
    ]
    assert np.array_equal(*frames)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda arrays, header: arrays.pop("crops"), "lacks 'crops'"),
        (lambda arrays, header: arrays.update(found=np.zeros(5, np.uint8)), "no frame has a face"),
        (lambda arrays, header: arrays.update(times=arrays["times"][::-1].copy()), "not increase"),
        (lambda arrays, header: arrays["params.scale"].fill(np.nan), "is not finite"),
        (lambda arrays, header: arrays["crops"].fill(0), "crops do not lead from frame to crop"),
        (lambda arrays, header: arrays["windows"].fill(1), "windows do not lead from frame"),
        (lambda arrays, header: header.update(size=10**9), "crops of 1000000000 pixels"),
        (lambda arrays, header: header.update(face="moon"), "lacks 'moon'"),
        (lambda arrays, header: header.update(fps="1/0"), "damaged motion file"),
        (lambda arrays, header: header.update(end=None), "damaged motion file"),
        (lambda arrays, header: header.update(end=f"{10**19}"), "not between 0 and 1000000 sec"),
        (lambda arrays, header: header.update(end="1e999999999"), "is not a fraction"),
        (lambda arrays, header: header.update(size="x" * 5000), r"damaged motion file .{,300}$"),
    ],
)
def test_a_damaged_motion_file_is_one_line(motion, tmp_path, change, problem):
    path = tmp_path / "a.motion.safetensors"
    save_motion(motion, path)
    arrays = load_file(path)
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()[FORMAT])
    change(arrays, header)
    save_file(arrays, path, metadata={FORMAT: json.dumps(header)})
    with pytest.raises(UserError, match=problem):
        load_motion(path)


def test_another_file_is_refused(tmp_path, weights_path):
    with pytest.raises(UserError, match="not a motion file"):
        load_motion(weights_path)
    (tmp_path / "b.motion.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="not a readable motion file"):
        load_motion(tmp_path / "b.motion.safetensors")


def test_repeating_and_pingpong(motion):
    assert motion.repeated(1) is motion
    assert len(motion.repeated(3)) == 15
    forth_and_back = motion.repeated(3, pingpong=True)
    x = motion.tracked.params.translation[:, 0]
    order = [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4]
    assert torch.equal(forth_and_back.tracked.params.translation[:, 0], x[order])
    assert forth_and_back.timeline.is_constant


def test_the_reference_of_relative_motion(motion, reenactor, photo):
    source = reenactor.find(read_frame(photo))
    face = reenactor.face
    assert reference_frame(face, source, motion, "first") == 0
    assert reference_frame(face, source, motion, 3) == 3
    assert reference_frame(face, source, motion, -1) == 4
    with pytest.raises(UserError, match="has 5 frames, got frame 5"):
        reference_frame(face, source, motion, 5)
    own = face.retarget(source.params, source.params)
    params = type(own).cat([motion.tracked.params[[0, 1]], own, motion.tracked.params[[3, 4]]])
    tracked = dataclasses.replace(motion.tracked, params=params, found=np.ones(5, bool))
    with_own = dataclasses.replace(motion, tracked=tracked)
    assert reference_frame(face, source, with_own, "closest") == 2
    options = AnimateOptions(motion="relative", motion_reference="closest")
    driven = driving_faces(face, source, with_own, options)
    torch.testing.assert_close(driven.expression[2:3], source.params.expression)


def test_strength_and_region_reach_the_picture(motion, reenactor, photo):
    source = reenactor.find(read_frame(photo))
    still = driving_faces(
        reenactor.face,
        source,
        motion,
        AnimateOptions(pose_strength=0, expression_strength=0, gaze_strength=0),
    )
    for name in ("expression", "rotation", "translation", "scale", "gaze"):
        wanted = source.params.tensors()[name]
        torch.testing.assert_close(still.tensors()[name], wanted.expand_as(still.tensors()[name]))


def test_shipped_motions_start_and_end_at_rest():
    assert {"nod", "shake", "smile", "speak", "look", "blink"} == set(shipped_names())
    for name in shipped_names():
        params = load_motion(shipped_motion(f"@{name}")).tracked.params
        for field, value in params.tensors().items():
            torch.testing.assert_close(
                value[0], value[-1], atol=0.02, rtol=0, msg=f"{name} {field}"
            )
        assert max(float(v.std(0).max()) for v in params.tensors().values()) > 0.05
    with pytest.raises(UserError, match="there are @blink"):
        shipped_motion("@fly")


def test_motion_list_and_usage(capsys):
    assert run_command("motion", "motion", ["--list"]) == 0
    assert "@smile" in capsys.readouterr().out.split()
    assert run_command("motion", "motion", []) == 2
