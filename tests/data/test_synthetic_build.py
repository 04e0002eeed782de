"""The tools of the generator: baked light, panoramas, the judge of realism."""

import numpy as np
import pytest

from reenact.data.synthetic.light import spherical_harmonics
from reenact.errors import UserError
from tools.bake_light import bake_transfer
from tools.build_panoramas import build, scaled
from tools.judge_synthetic import rendered_crops


def _ball() -> tuple[np.ndarray, np.ndarray]:
    """An octahedron cut twice into smaller triangles, on the sphere of radius 1."""
    points = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    points = [np.array(p, float) for p in points]
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    for _ in range(3):
        finer, middle = [], {}
        for face in faces:
            mids = []
            for a, b in ((0, 1), (1, 2), (2, 0)):
                edge = tuple(sorted((face[a], face[b])))
                if edge not in middle:
                    point = points[edge[0]] + points[edge[1]]
                    middle[edge] = len(points)
                    points.append(point / np.linalg.norm(point))
                mids.append(middle[edge])
            a, b, c = face
            ab, bc, ca = mids
            finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = finer
    return np.array(points, np.float32), np.array(faces)


def test_free_transfer_of_a_ball_is_the_clamped_cosine():
    """Projection of max(0, cos) / pi: 1, 2/3, 1/4 of the basis at the normal (Ramamoorthi)."""
    points, triangles = _ball()
    shadowed, free = bake_transfer(points, triangles, np.ones(len(triangles), bool))
    band = np.array([1, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4])
    expected = spherical_harmonics(points.astype(float)) * band
    np.testing.assert_allclose(free, expected, atol=0.03)
    # A convex body casts no shadow on itself; the shadow map costs a little near the rim.
    assert np.abs(shadowed[:, 0] / 0.2821 - 1).max() < 0.2


def test_scaled_panoramas_have_mean_1_and_no_infinite_sun():
    picture = np.random.default_rng(0).uniform(0.1, 0.5, (64, 128, 3)).astype(np.float32)
    picture[20, 30] = np.inf
    result = scaled(picture)
    assert np.isfinite(result).all()
    weight = np.cos((np.arange(64) + 0.5) / 64 * np.pi - np.pi / 2)[:, None]
    mean = (result.mean(-1) * weight).mean() / weight.mean()
    assert mean == pytest.approx(1, rel=1e-4)
    assert result.argmax() // 3 == 20 * 128 + 30


def test_another_package_is_refused(tmp_path):
    package = tmp_path / "other.tgz"
    package.write_bytes(b"other")
    with pytest.raises(UserError, match="sha256"):
        build(package)


def test_the_judge_says_when_there_are_no_clips(tmp_path):
    np.save(tmp_path / "frames.npy", np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="no clips"):
        rendered_crops(tmp_path)
    folder = tmp_path / "set" / "train_000000"
    folder.mkdir(parents=True)
    np.save(folder / "frames.npy", np.zeros((2, 8, 8, 3), np.uint8))
    assert len(rendered_crops(tmp_path / "set")) == 2
