"""The translated nets against the outputs of the LiteRT runtime, and the graph executor itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reenact.assets import asset_path
from reenact.face.graph import StaticGraph, dequantise, load_graphs

GOLDEN = Path(__file__).resolve().parents[2] / "golden/tracker"


@pytest.fixture(scope="module")
def graphs() -> dict[str, StaticGraph]:
    return load_graphs(asset_path("tracker.safetensors"))[0]


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    """Outputs of LiteRT for two random pictures of 16x16 blocks and two random point sets."""
    with np.load(GOLDEN / "litert.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def _blocks(golden: dict[str, Tensor], size: int) -> Tensor:
    small = golden["input"].permute(0, 3, 1, 2)
    return small.repeat_interleave(size // 16, 2).repeat_interleave(size // 16, 3)


def test_detector_matches_litert(graphs: dict[str, StaticGraph], golden: dict[str, Tensor]) -> None:
    regressors, scores = graphs["detector"](_blocks(golden, 128) * 2 - 1)
    assert regressors.shape == (2, 896, 16)
    torch.testing.assert_close(regressors[:, ::7], golden["regressors"], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(scores[:, ::7, 0], golden["scores"], atol=1e-3, rtol=1e-4)


def test_landmark_net_matches_litert(
    graphs: dict[str, StaticGraph], golden: dict[str, Tensor]
) -> None:
    points, presence = graphs["landmarks"](_blocks(golden, 256))
    torch.testing.assert_close(points.flatten(1), golden["landmarks"], atol=2e-3, rtol=1e-4)
    torch.testing.assert_close(presence.flatten(1), golden["presence"], atol=1e-3, rtol=1e-4)


def test_blendshape_net_matches_litert(
    graphs: dict[str, StaticGraph], golden: dict[str, Tensor]
) -> None:
    (scores,) = graphs["blendshapes"](golden["points"].mT[:, :, None])
    torch.testing.assert_close(scores, golden["blendshapes"], atol=1e-5, rtol=0)


def test_batch_equals_single(graphs: dict[str, StaticGraph], golden: dict[str, Tensor]) -> None:
    images = _blocks(golden, 256)
    both = graphs["landmarks"](images)[0]
    alone = torch.cat([graphs["landmarks"](image[None])[0] for image in images])
    torch.testing.assert_close(both, alone, atol=1e-3, rtol=1e-5)


def test_no_parameter_is_trainable_and_autocast_is_off(graphs: dict[str, StaticGraph]) -> None:
    net = graphs["blendshapes"]
    assert not list(net.parameters())
    points = torch.rand(1, 2, 1, 146)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (inside,) = net(points)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, net(points)[0])


def test_graph_runs_a_hand_written_list() -> None:
    nodes = [
        {"op": "conv", "in": ["x", "w", "b"], "out": "y", "stride": [1, 1], "groups": 1}
        | {"pad": [0, 1, 0, 1], "act": "relu"},
        {"op": "rows", "in": ["y"], "out": "z", "width": 1},
    ]
    spec = {"inputs": ["x"], "outputs": ["z"], "nodes": nodes}
    net = StaticGraph(spec, {"w": torch.ones(1, 1, 2, 2), "b": torch.tensor([-5.0])})
    (result,) = net(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    # Sums of the 2x2 windows padded right and down: 10, 6, 7, 4; minus 5, cut at zero.
    assert result.tolist() == [[[5.0], [1.0], [2.0], [0.0]]]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"op": "dream", "in": ["x"], "out": "y"}, "unknown operation 'dream'"),
        ({"op": "relu", "in": ["q"], "out": "y"}, "unknown values"),
    ],
)
def test_graph_refuses_bad_lists(node: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StaticGraph({"inputs": ["x"], "outputs": ["y"], "nodes": [node]}, {})


def test_dequantise_spreads_blocks() -> None:
    codes = torch.tensor([[1, 2, 3, -4]], dtype=torch.int8)
    weight = dequantise(codes, torch.tensor([[0.5, 2.0]]), torch.tensor([[1, -1]]))
    assert weight.tolist() == [[0.0, 0.5, 8.0, -6.0]]
