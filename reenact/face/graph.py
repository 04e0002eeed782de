"""Runs a small static network that is stored as a list of operations and their weights.

The authors of the face networks ship them in deployment formats (TFLite, ONNX). `tools/build_*.py`
translate such a file once into a list of nodes over NCHW tensors. The list is JSON in the metadata
of a .safetensors file that holds the weights. This module executes the list with ordinary torch
functions: batched, on any device, differentiable in the inputs. On the CPU, without gradients,
`graph_loops` executes it if it can, which takes about half the time.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from reenact.face.box import takes_loops
from reenact.face.graph_loops import GraphLoops
from reenact.face.graph_steps import build_loops

Node = Mapping[str, Any]
Operation = Callable[[Sequence[Tensor], Node], Tensor]


def _activate(x: Tensor, node: Node) -> Tensor:
    return F.relu(x) if node.get("act") == "relu" else x


def _conv(inputs: Sequence[Tensor], node: Node) -> Tensor:
    x, weight, bias = inputs
    left, right, top, bottom = node["pad"]
    padding = (top, left)
    if (left, top) != (right, bottom):
        x, padding = F.pad(x, node["pad"]), (0, 0)
    y = F.conv2d(x, weight, bias, stride=node["stride"], padding=padding, groups=node["groups"])
    return _activate(y, node)


def _conv_transpose(inputs: Sequence[Tensor], node: Node) -> Tensor:
    x, weight, bias = inputs
    return F.conv_transpose2d(x, weight, bias, stride=node["stride"])


def _resize(inputs: Sequence[Tensor], node: Node) -> Tensor:
    return F.interpolate(inputs[0], tuple(node["size"]), mode="bilinear", align_corners=False)


def _slice(inputs: Sequence[Tensor], node: Node) -> Tensor:
    return inputs[0].narrow(node["axis"], node["start"], node["length"])


def _rows(inputs: Sequence[Tensor], node: Node) -> Tensor:
    """(B, C, H, W) -> (B, H * W * C / width, width), in the channels-last order of the heads of
    anchor-based detectors.
    """
    return inputs[0].permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, node["width"]))


def _concat(inputs: Sequence[Tensor], node: Node) -> Tensor:
    batch = max(x.shape[0] for x in inputs)
    return torch.cat([x.expand(batch, *x.shape[1:]) for x in inputs], node["axis"])


_OPERATIONS: dict[str, Operation] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda x, n: F.linear(*x),
    "prelu": lambda x, n: F.prelu(x[0], x[1]),
    "relu": lambda x, n: F.relu(x[0]),
    "hard_swish": lambda x, n: F.hardswish(x[0]),
    "sigmoid": lambda x, n: torch.sigmoid(x[0]),
    "max_pool": lambda x, n: F.max_pool2d(x[0], n["kernel"], n["stride"]),
    "resize": _resize,
    "add": lambda x, n: _activate(x[0] + x[1], n),
    "sub": lambda x, n: x[0] - x[1],
    "mul": lambda x, n: x[0] * x[1],
    "div": lambda x, n: x[0] / x[1],
    "neg": lambda x, n: -x[0],
    "sqrt": lambda x, n: torch.sqrt(x[0]),
    "rsqrt": lambda x, n: torch.rsqrt(x[0]),
    "squared_difference": lambda x, n: (x[0] - x[1]).square(),
    "mean": lambda x, n: x[0].mean(n["axis"], keepdim=True),
    "sum": lambda x, n: x[0].sum(n["axis"], keepdim=True),
    "swap": lambda x, n: x[0].transpose(*n["axes"]),
    "pad_channels": lambda x, n: F.pad(x[0], (0, 0, 0, 0, 0, n["count"])),
    "concat": _concat,
    "slice": _slice,
    "rows": _rows,
    "flatten": lambda x, n: x[0].flatten(1),
}


class StaticGraph(nn.Module):
    """One network. `forward(*inputs)`, each (B, C, H, W), returns the outputs in the stored order.

    `spec` has "inputs" and "outputs" (names of values) and "nodes" ({"op", "in": names, "out":
    name, ...attributes}). A name in `weights` is a constant. The weights are frozen float32
    buffers. Autocast is switched off inside.

    Raises ValueError for an operation that is not known or a value that is used before it exists.
    """

    def __init__(self, spec: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.inputs: list[str] = list(spec["inputs"])
        self.outputs: list[str] = list(spec["outputs"])
        self.nodes: list[Node] = list(spec["nodes"])
        self._constants = {name: name.replace(".", "_") for name in weights}
        for name, buffer in self._constants.items():
            weight = weights[name].float()
            if weight.ndim == 4:  # channels last is two to three times faster on a CPU
                weight = weight.contiguous(memory_format=torch.channels_last)
            self.register_buffer(buffer, weight, persistent=False)
        self._check()
        self._dead_after = self._last_uses()
        self._loops: dict[tuple[int, ...], GraphLoops | None] = {}

    def _check(self) -> None:
        known = set(self.inputs) | set(self._constants)
        for node in self.nodes:
            if node["op"] not in _OPERATIONS:
                raise ValueError(f"graph: unknown operation {node['op']!r}")
            missing = set(node["in"]) - known
            if missing:
                raise ValueError(f"graph: {node['out']} uses unknown values {sorted(missing)}")
            known.add(node["out"])

    def _last_uses(self) -> list[list[str]]:
        """For each node, the values that no later node needs. They are dropped at once, which saves
        memory when no gradients are computed.
        """
        seen = set(self.outputs) | set(self._constants)
        dead: list[list[str]] = []
        for node in reversed(self.nodes):
            names = [name for name in dict.fromkeys(node["in"]) if name not in seen]
            seen.update(names)
            dead.append(names)
        return dead[::-1]

    def _loops_for(self, inputs: Sequence[Tensor]) -> GraphLoops | None:
        """Compiled loops for pictures of this shape, if these can do it."""
        if torch.compiler.is_compiling() or not all(map(takes_loops, inputs)):
            return None
        _, *shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 3:
            return None
        key = tuple(shape)
        if key not in self._loops:
            constants = {k: getattr(self, v).numpy() for k, v in self._constants.items()}
            self._loops[key] = build_loops(
                self.inputs[0], self.outputs, self.nodes, constants, (key[0], key[1], key[2])
            )
        return self._loops[key]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if loops := self._loops_for(inputs):
            pictures = [loops(picture) for picture in inputs[0].detach().contiguous().numpy()]
            return tuple(torch.from_numpy(np.stack(x)) for x in zip(*pictures, strict=True))
        values: dict[str, Tensor] = {k: getattr(self, v) for k, v in self._constants.items()}
        laid_out = (x.float().contiguous(memory_format=torch.channels_last) for x in inputs)
        values.update(zip(self.inputs, laid_out, strict=True))
        with torch.autocast(inputs[0].device.type, enabled=False):
            for node, dead in zip(self.nodes, self._dead_after, strict=True):
                operands = [values[name] for name in node["in"]]
                values[node["out"]] = _OPERATIONS[node["op"]](operands, node)
                for name in dead:
                    del values[name]
        return tuple(values[name] for name in self.outputs)


def dequantise(codes: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Block-quantised int8 weights (O, N) -> float32 (O, N). Each block of a row has one scale and
    one zero point; both are (O, N / block, rounded up).
    """
    block = -(-codes.shape[1] // scale.shape[1])
    spread = [t.float().repeat_interleave(block, 1)[:, : codes.shape[1]] for t in (scale, zero)]
    return (codes.float() - spread[1]) * spread[0]


def _expand(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]
) -> dict[str, Tensor]:
    """Replaces `name.codes`, `name.scale`, `name.zero` by the weight `name` in its true shape."""
    out = {}
    for name, tensor in tensors.items():
        stem, _, part = name.rpartition(".")
        if part == "codes":
            weight = dequantise(tensor, tensors[f"{stem}.scale"], tensors[f"{stem}.zero"])
            out[stem] = weight.reshape(tuple(shapes[stem]))
        elif part not in ("scale", "zero"):
            out[name] = tensor
    return out


def load_graphs(path: Path) -> tuple[dict[str, StaticGraph], dict[str, Tensor]]:
    """Reads every graph of a .safetensors file, and the tensors that belong to none of them.

    The metadata entry "graphs" maps a graph's name to its spec; its weights are the tensors
    `<graph>/<name>`.
    """
    with safe_open(path, framework="pt") as file:
        specs: dict[str, Any] = json.loads(file.metadata()["graphs"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    graphs = {}
    for name, spec in specs.items():
        prefix = f"{name}/"
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        graphs[name] = StaticGraph(spec, _expand(own, spec.get("shapes", {})))
    rest = {key: value for key, value in tensors.items() if "/" not in key}
    return graphs, rest
