import numpy as np
import torch

from reenact.face.steadying import OneEuro, blink_weights, bridged

FPS = 25


def lids(*, start: int, length: int, count: int = 100) -> torch.Tensor:
    """Open lids that close for `length` frames, with a frame half-way at both ends."""
    closed = torch.full((count,), 0.1)
    closed[start : start + length] = 1.0
    closed[start - 1] = closed[start + length] = 0.5
    return closed


def test_a_blink_is_short():
    blink = blink_weights(lids(start=50, length=4), FPS)
    assert blink[50:54].min() > 0.9
    assert blink[:48].max() == blink[57:].max() == 0
    assert blink_weights(lids(start=40, length=30), FPS)[45:65].max() == 0


def test_a_nod_that_a_blink_fakes_disappears():
    closed = lids(start=50, length=4)
    true = 0.2 * torch.sin(torch.arange(100) / 15)
    seen = true + 0.05 * (closed - 0.1)
    calm = bridged(seen, blink_weights(closed, FPS), FPS, 0.09)
    assert (seen - true).abs().max() > 0.04
    assert (calm - true).abs().max() < 0.015
    assert torch.equal(calm[:45], seen[:45])


def test_a_turn_during_a_blink_stays():
    closed = lids(start=50, length=4)
    turn = torch.zeros(100, 3)
    turn[52:] = 0.8
    calm = bridged(turn, blink_weights(closed, FPS), FPS, 0.09)
    assert (calm - turn).abs().max() < 0.06 * 0.8
    assert np.isfinite(calm.numpy()).all()


def test_the_live_filter_calms_jitter_and_follows_a_turn():
    generator = torch.Generator().manual_seed(0)
    times = torch.arange(120) / 30
    noise = 0.3 * torch.randn(120, generator=generator)
    still, turning = OneEuro(), OneEuro()
    calmed_values = torch.stack([still(x, float(t)) for x, t in zip(noise, times, strict=True)])
    assert calmed_values[30:].std() < 0.6 * noise[30:].std()
    turn = 60 * ((times - 1).clamp(0, 0.5))  # 60 jitters a second for half a second
    followed = torch.stack([turning(x, float(t)) for x, t in zip(turn, times, strict=True)])
    assert (followed - turn).abs().max() < 10
    assert (followed[75:] - turn[75:]).abs().max() < 1
    assert (followed.diff() >= 0).all()
