import pytest
import torch

from reenact.processes import ALONE
from reenact.training.gradient_guard import FACTOR, FORGETTING, GradientGuard


def backward(guard: GradientGuard, norms: list[float]) -> list[float]:
    """Send gradients of these norms through pictures of one pixel; what arrives."""
    image = torch.zeros(len(norms), 1, 1, 2, requires_grad=True)
    guarded = guard(image)
    assert torch.equal(guarded, image)
    (guarded[:, 0, 0, 0] * torch.tensor(norms)).sum().backward()
    return image.grad[:, 0, 0, 0].tolist()


def test_nothing_is_bounded_before_anything_is_known_but_not_a_number_is_dropped():
    guard = GradientGuard()
    assert backward(guard, [1, 100, float("nan"), float("inf")]) == [1, 100, 0, 0]


def test_outliers_are_bounded_by_the_median_of_the_steps_before():
    guard = GradientGuard()
    backward(guard, [1, 1, 3, 100, float("nan")])
    guard.end_step(ALONE, 5)
    assert guard.usual.item() == 1
    assert backward(guard, [1, 100, 0.5, FACTOR]) == [1, pytest.approx(FACTOR), 0.5, FACTOR]
    # what counts is how large the gradients were, not what was let through
    guard.end_step(ALONE, 4)
    assert guard.usual.item() == pytest.approx(1)
    backward(guard, [9, 9, 9])
    guard.end_step(ALONE, 3)
    assert guard.usual.item() == pytest.approx(1 + FORGETTING * 8)


def test_parts_of_a_batch_are_bounded_alike():
    whole, parts = GradientGuard(), GradientGuard()
    for norms in ([1, 2, 3, 4], [5, 50, 1, 1]):
        together = backward(whole, norms)
        assert backward(parts, norms[:1]) + backward(parts, norms[1:]) == together
        whole.end_step(ALONE, 4)
        parts.end_step(ALONE, 4)
    assert parts.usual == whole.usual > 0


def test_a_step_without_gradients_is_forgotten():
    guard = GradientGuard()
    guard.end_step(ALONE, 2)
    backward(guard, [float("nan"), 0])
    guard.end_step(ALONE, 2)
    assert guard.usual.item() == 0
    assert list(guard.state_dict()) == ["usual"]
