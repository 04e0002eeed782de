"""The compiled loops against torch, which runs the same graph when gradients are wanted."""

import pytest
import torch
from torch import Tensor

from reenact.face.graph import StaticGraph


def conv(x: str, out: str, weight: str, **changes: object) -> dict[str, object]:
    plain = {"stride": [1, 1], "pad": [0, 0, 0, 0], "groups": 1}
    return {"op": "conv", "in": [x, weight, f"{weight}b"], "out": out} | plain | changes


NODES = [
    conv("x", "a", "k3", stride=[2, 2], pad=[0, 1, 0, 1]),  # 3 x 17 x 15 -> 6 x 8 x 7
    {"op": "prelu", "in": ["a", "slopes"], "out": "b"},
    conv("b", "c", "each", pad=[1, 1, 1, 1], groups=6, act="relu"),
    conv("c", "d", "k1"),
    {"op": "add", "in": ["b", "d"], "out": "e", "act": "relu"},
    {"op": "add", "in": ["e", "c"], "out": "f"},
    {"op": "max_pool", "in": ["f"], "out": "g", "kernel": [2, 2], "stride": [2, 2]},
    {"op": "pad_channels", "in": ["g"], "out": "h", "count": 2},
    conv("h", "i", "whole"),  # 8 x 4 x 3 -> 5 x 1 x 1
    {"op": "sigmoid", "in": ["i"], "out": "unused"},
]
SHAPES = {"k3": (6, 3, 3, 3), "each": (6, 1, 3, 3), "k1": (6, 6, 1, 1), "whole": (5, 8, 4, 3)}


def graph(nodes: list[dict[str, object]], outputs: list[str]) -> StaticGraph:
    generator = torch.Generator().manual_seed(1)
    weights: dict[str, Tensor] = {"slopes": torch.rand(6, generator=generator)}
    for name, shape in SHAPES.items():
        weights[name] = torch.randn(shape, generator=generator)
        weights[f"{name}b"] = torch.randn(shape[0], generator=generator)
    return StaticGraph({"inputs": ["x"], "outputs": outputs, "nodes": nodes}, weights)


@pytest.mark.parametrize(
    ("count", "outputs"), [(4, ["d", "b"]), (6, ["f"]), (8, ["h", "f"]), (8, ["g"])]
)
def test_the_loops_give_what_torch_gives(count: int, outputs: list[str]) -> None:
    net = graph(NODES[:count], outputs)
    images = torch.randn(2, 3, 17, 15, generator=torch.Generator().manual_seed(2))
    expected = net(images.clone().requires_grad_())
    assert not net._loops, "with gradients torch runs the graph"
    results = net(images)
    assert all(net._loops.values())
    assert len(results) == len(outputs)
    for result, wanted in zip(results, expected, strict=True):
        assert result.shape == wanted.shape
        torch.testing.assert_close(result, wanted.detach(), atol=1e-5, rtol=1e-5)


def test_a_window_that_is_not_square_is_left_to_torch() -> None:
    net = graph(NODES, ["i"])
    (result,) = net(torch.zeros(1, 3, 17, 15))
    assert result.shape == (1, 5, 1, 1)
    assert list(net._loops.values()) == [None]


def test_shapes_have_their_own_loops() -> None:
    net = graph(NODES[:6], ["f"])
    assert net(torch.zeros(1, 3, 17, 15))[0].shape == (1, 6, 8, 7)
    assert net(torch.zeros(3, 3, 8, 9))[0].shape == (3, 6, 4, 4)
    assert len(net._loops) == 2
