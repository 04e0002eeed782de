"""The baked light of the shipped bundle against closed forms."""

import numpy as np

from reenact.data.synthetic.light import spherical_harmonics
from tools.bake_light import bake_transfer


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
