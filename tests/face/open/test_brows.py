"""Brows of videos move as far as the person's do."""

import torch

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.open.brows import with_whole_brows

INNER, DOWN = (EXPRESSION_NAMES.index(name) for name in ("browInnerUp", "browDownLeft"))
JAW = EXPRESSION_NAMES.index("jawOpen")


def clip(num_frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A person at rest: fitted expressions and scores, other values for each expression."""
    row = torch.linspace(0.02, 0.1, len(EXPRESSION_NAMES))
    return row.expand(num_frames, -1).clone(), (2 * row).expand(num_frames, -1).clone()


def test_still_brows_stay_as_they_were_fitted():
    fitted, scores = clip(5)
    torch.testing.assert_close(with_whole_brows(fitted, scores, torch.arange(5)), fitted)


def test_a_whole_movement_of_rendered_heads_is_a_whole_movement():
    """Measured: brows that go up change the inner score by .18, lowered ones the other by .25."""
    fitted, scores = clip(9)
    scores[2, INNER] += 0.18
    scores[4, DOWN] += 0.25
    scores[6, JAW] += 0.5
    result = with_whole_brows(fitted, scores, torch.arange(9))
    assert 0.65 < result[2, INNER] - fitted[2, INNER] < 1
    assert 0.65 < result[4, DOWN] - fitted[4, DOWN] < 1
    assert result.min() >= 0
    assert result.max() <= 1
    result[2, INNER], result[4, DOWN] = fitted[2, INNER], fitted[4, DOWN]
    torch.testing.assert_close(result, fitted)


def test_frames_that_do_not_show_the_person_say_nothing_about_its_rest():
    fitted, scores = clip(8)
    scores[3:, INNER] = 0.9
    result = with_whole_brows(fitted, scores, torch.arange(3))
    torch.testing.assert_close(result[:3], fitted[:3])
