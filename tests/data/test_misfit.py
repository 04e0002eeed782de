"""Errors of a face tracker that training adds to true parameters."""

import numpy as np

from reenact.data.misfit import EXPRESSION, IDENTITY, misread
from reenact.face.params import FaceParams


def faces(count: int) -> list[dict[str, np.ndarray]]:
    params = FaceParams.neutral(count)
    params.expression[:] = 0.5
    return [{n: v[0] for n, v in params[i].numpy().items()} for i in range(count)]


def test_strength_zero_changes_nothing():
    for face, same in zip(
        faces(2), misread(faces(2), 64, 0.0, np.random.default_rng(0)), strict=True
    ):
        assert all(np.allclose(face[name], same[name]) for name in face)


def test_the_identity_is_misread_alike_and_everything_else_anew():
    first, second = misread(faces(2), 64, 1.0, np.random.default_rng(0))
    assert np.array_equal(first["identity"], second["identity"])
    for name in ("expression", "rotation", "translation", "scale", "gaze"):
        assert not np.allclose(first[name], second[name]), name


def test_errors_have_the_stated_size():
    read = misread(faces(400), 64, 2.0, np.random.default_rng(1))
    expression = np.stack([face["expression"] for face in read])
    assert abs(expression.std() / (2 * EXPRESSION) - 1) < 0.05
    assert abs(read[0]["identity"].std() / (2 * IDENTITY) - 1) < 0.3
    low = misread(
        [face | {"expression": np.zeros(52)} for face in faces(9)],
        64,
        9.0,
        np.random.default_rng(2),
    )
    assert min(face["expression"].min() for face in low) == 0
