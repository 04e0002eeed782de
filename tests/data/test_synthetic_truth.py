"""Truth of the surface: its normals, and what frame 0 hides."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from reenact.data.synthetic.clips import SyntheticConfig, plan_clip
from reenact.data.synthetic.renderer import Masks, Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage, see_first
from reenact.data.synthetic.surface_truth import NORMAL_UNIT, hidden_in_first

SIZE = 64


@pytest.fixture(scope="module")
def turned() -> dict[float, Masks]:
    """One person whose first frame looks ahead, turned by some angles (radians)."""
    renderer = Renderer()
    config = SyntheticConfig(out=Path(), clips=1, frames=1, size=SIZE, layers=True)
    plan = plan_clip(config, 0, renderer.asset)
    ahead = dataclasses.replace(plan.params, rotation=torch.zeros(1, 3))
    plan = dataclasses.replace(plan, params=ahead)
    stage = make_stage(config, plan, 0, renderer.asset)
    first = see_first(renderer, stage, plan, SIZE)
    masks = {}
    for yaw in (0.0, 0.6, -0.6):
        params = dataclasses.replace(ahead, rotation=torch.tensor([[yaw, 0.0, 0.0]]))
        crop = plan.crop_from_frame[0]
        _, masks[yaw] = draw_frame(renderer, stage, params, crop, SIZE, first=first)
    return masks


def test_normals_are_unit_vectors_that_face_the_camera(turned):
    for masks in turned.values():
        assert masks.surface is not None
        normals = masks.surface.normals.astype(float) / NORMAL_UNIT
        on_surface = normals.any(-1)
        length = np.linalg.norm(normals[on_surface], axis=-1)
        assert np.abs(length - 1).max() < 0.01
        # The camera is far away: rays to it are about parallel to Z.
        assert normals[on_surface][:, 2].min() > -0.25
        assert on_surface[masks.foreground == 0].sum() < 5
        assert on_surface[masks.face > 200].all()


def test_normals_of_a_face_that_looks_ahead_open_to_both_sides_and_up_on_the_forehead(turned):
    surface, face = turned[0.0].surface, turned[0.0].face > 200
    assert surface is not None
    rows, columns = np.nonzero(face)
    left, right = columns < np.quantile(columns, 0.15), columns > np.quantile(columns, 0.85)
    top = rows < np.quantile(rows, 0.1)
    on_face = surface.normals[face].astype(float) / NORMAL_UNIT
    assert on_face[left, 0].mean() < -0.3
    assert on_face[right, 0].mean() > 0.3
    assert on_face[top, 1].mean() > 0.1
    assert on_face[:, 2].mean() > 0.7


def test_the_pose_of_frame_0_hides_nothing_and_turns_hide_the_side_that_turns_up(turned):
    hidden = {yaw: masks.surface.hidden for yaw, masks in turned.items() if masks.surface}
    assert not hidden[0.0].any()
    for yaw in (0.6, -0.6):
        share = hidden[yaw] / 255
        assert 0.01 < share.mean() < 0.3
        assert share[turned[yaw].foreground == 0].sum() < 1
        # A head that turns to one side of the picture shows more of its other side.
        columns = (share.sum(0) * np.arange(SIZE)).sum() / share.sum()
        middle = (turned[yaw].face.sum(0) * np.arange(SIZE)).sum() / turned[yaw].face.sum()
        assert np.sign(columns - middle) == -np.sign(yaw)


def test_a_triangle_behind_another_one_is_hidden_up_to_its_edge():
    """Two squares of 8 samples; in frame 0 a wall covers the samples right of column 4."""
    triangles = np.array([[0, 2, 1], [1, 2, 3]])
    xy = np.array([[0, 0], [8, 0], [0, 8], [8, 8]], np.float32)
    depth = np.full(4, 0.5, np.float32)
    nearest = np.full((8, 8), 0.5, np.float32)
    nearest[:, 4:] = 0.3
    ids, bary = np.zeros((8, 8), np.int32), np.zeros((8, 8, 3), np.float32)
    for y in range(8):
        for x in range(8):
            u, v = (x + 0.5) / 8, (y + 0.5) / 8
            lower = u + v > 1
            ids[y, x] = int(lower)
            bary[y, x] = (1 - v, 1 - u, u + v - 1) if lower else (1 - u - v, v, u)
    out = hidden_in_first(ids, bary, triangles, 2, xy, depth, nearest, 2)
    # The neighbours of a sample may show it, so the first hidden column is one sample later.
    np.testing.assert_array_equal(out, np.tile(np.array([0, 0, 128, 255], np.uint8), (4, 1)))
