"""Turns a static network into the table of steps that `graph_loops` runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reenact.face.graph_loops import (
    ADD,
    BLOCK,
    DEPTHWISE,
    GATHER,
    MULTIPLY,
    PAD,
    POOL,
    STEP,
    GraphLoops,
    Shape,
)

Node = Mapping[str, Any]


def build_loops(
    name: str,
    outputs: Sequence[str],
    nodes: Sequence[Node],
    constants: Mapping[str, np.ndarray],
    shape: Shape,
) -> GraphLoops | None:
    """The network of a `StaticGraph` for its one input `name` of this shape (C, H, W).

    None if it has operations that the loops lack.
    """
    try:
        return _Builder(outputs, nodes, constants).built(name, shape)
    except _UnknownStep:
        return None


class _UnknownStep(Exception):
    """The loops lack an operation of the network."""


class _Builder:
    """Turns nodes into steps."""

    def __init__(
        self, outputs: Sequence[str], nodes: Sequence[Node], constants: Mapping[str, np.ndarray]
    ) -> None:
        self.outputs, self.constants = outputs, constants
        self.nodes = _needed(nodes, outputs)
        self.uses = Counter(outputs)
        for node in self.nodes:
            self.uses.update(set(node["in"]))
        self.steps: list[tuple[int, ...]] = []
        self.weights: list[np.ndarray] = []
        self.shapes: dict[str, Shape] = {}
        self.places: dict[str, int] = {}
        self.unused: dict[int, list[int]] = {}
        self.size = 0

    def built(self, name: str, shape: Shape) -> GraphLoops:
        start = self._new(name, shape)
        while self.nodes:
            self._take(self.nodes.pop(0))
        return GraphLoops(
            steps=np.array(self.steps, STEP),
            weights=np.concatenate(self.weights),
            size=self.size,
            start=start,
            outputs=[(self.places[name], self.shapes[name]) for name in self.outputs],
        )

    def _take(self, node: Node) -> None:
        """The step of a node."""
        source, *others = node["in"]
        if node["op"] == "conv":
            self._convolve(node)
        elif node["op"] == "add" and others[0] in self.places and node.get("act") is None:
            out = self._new(node["out"], self.shapes[source])
            self._step(ADD, source, out, added=self.places[others[0]])
        elif node["op"] == "max_pool" and list(node["kernel"]) == list(node["stride"]) == [2, 2]:
            channels, height, width = self.shapes[source]
            shape = channels, height // 2, width // 2
            self._step(POOL, source, self._new(node["out"], shape), rows=shape[1], columns=shape[2])
        elif node["op"] == "pad_channels":
            channels, height, width = self.shapes[source]
            planes = channels + node["count"]
            out = self._new(node["out"], (planes, height, width))
            self._step(PAD, source, out, planes=planes)
        else:
            raise _UnknownStep
        self._forget(node["in"])

    def _convolve(self, node: Node) -> None:
        source, weight, bias = node["in"]
        matrix = self.constants[weight]
        planes, _, kernel, width = matrix.shape
        left, right, top, bottom = node["pad"]
        stride, groups, shape = node["stride"], node["groups"], self.shapes[source]
        if kernel != width or stride[0] != stride[1]:
            raise _UnknownStep
        rows = (shape[1] + top + bottom - kernel) // stride[0] + 1
        columns = (shape[2] + left + right - kernel) // stride[0] + 1
        if min(rows, columns) < 1:
            raise _UnknownStep
        last, added, slopes = self._what_follows(node, (planes, rows, columns))
        where = {"planes": planes, "rows": rows, "columns": columns}
        window = {"kernel": kernel, "stride": stride[0], "top": top, "left": left}
        is_plain = added is None and (slopes == 1).all()
        values = {
            "bias": self._weights(_padded(self.constants[bias])),
            "slopes": -1 if is_plain else self._weights(_padded(slopes)),
            "added": -1 if added is None else self.places[added],
        }
        out = self._new(last, (planes, rows, columns))
        if groups > 1:
            keeps_size = (kernel, stride[0], top, left, rows, columns) == (3, 1, 1, 1, *shape[1:])
            if not (groups == planes == shape[0] and keeps_size and columns > 1):
                raise _UnknownStep
            weights = self._weights(matrix)
            self._step(DEPTHWISE, source, out, weights=weights, depth=9, **values)
        else:
            flat = matrix.reshape(planes, -1)
            depth = _rounded(flat.shape[1])
            block = np.zeros((_rounded(planes), depth), np.float32)
            block[:planes, : flat.shape[1]] = flat
            weights, gathered = self._weights(block), source
            if kernel > 1 or stride[0] > 1 or depth > shape[0]:
                gathered = f"{source} gathered"
                self.uses[gathered] = 1
                scratch = self._new(gathered, (depth, rows, columns))
                self._step(GATHER, source, scratch, **where | {"planes": depth}, **window)
            where["planes"] = len(block)
            self._step(MULTIPLY, gathered, out, weights=weights, depth=depth, **where, **values)
            if gathered != source:
                self._forget([gathered])
        if added is not None:
            self._forget([added])

    def _what_follows(self, node: Node, shape: Shape) -> tuple[str, str | None, np.ndarray]:
        """Takes the next nodes too if they only change the result of this convolution.

        Returns the name of the last result, that of a value to be added, and the slopes.
        """
        name, added = node["out"], None
        slopes = np.full(shape[0], 0.0 if node.get("act") == "relu" else 1.0, np.float32)
        while self.uses[name] == 1 and name not in self.outputs and (slopes == 1).all():
            following = next(n for n in self.nodes if name in n["in"])
            others = [other for other in following["in"] if other != name]
            if following["op"] == "prelu" and name == following["in"][0]:
                slopes = np.broadcast_to(self.constants[others[0]].ravel(), (shape[0],))
            elif following["op"] == "add" and added is None and others[0] in self.places:
                if self.shapes[others[0]] != shape:
                    break
                added = others[0]
                if following.get("act") == "relu":
                    slopes = np.zeros(shape[0], np.float32)
            else:
                break
            self.nodes.remove(following)
            name = following["out"]
        return name, added, slopes

    def _step(self, kind: int, source: str, out: int, **values: int) -> None:
        channels, height, width = self.shapes[source]
        known = {"kind": kind, "x": self.places[source], "out": out}
        known |= {"channels": channels, "height": height, "width": width, "added": -1, "slopes": -1}
        known |= {"planes": channels, "rows": height, "columns": width} | values
        self.steps.append(tuple(known.get(name, 0) for name in STEP.names or ()))

    def _weights(self, values: np.ndarray) -> int:
        start = sum(map(len, self.weights))
        self.weights.append(values.astype(np.float32).ravel())
        return start

    def _new(self, name: str, shape: Shape) -> int:
        """Memory for a value."""
        size = _rounded(shape[0]) * shape[1] * shape[2]
        unused = self.unused.setdefault(size, [])
        if not unused:
            unused.append(self.size)
            self.size += size
        self.shapes[name], self.places[name] = shape, unused.pop()
        return self.places[name]

    def _forget(self, names: Sequence[str]) -> None:
        """One use of each value is done. The memory of the last use is free for other values."""
        for name in set(names) & set(self.places):
            self.uses[name] -= 1
            if self.uses[name] == 0:
                channels, height, width = self.shapes[name]
                self.unused[_rounded(channels) * height * width].append(self.places[name])


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The nodes on which the outputs depend."""
    wanted, needed = set(outputs), []
    for node in reversed(nodes):
        if node["out"] in wanted:
            wanted.update(node["in"])
            needed.append(node)
    return needed[::-1]


def _rounded(count: int) -> int:
    return -(-count // BLOCK) * BLOCK


def _padded(values: np.ndarray) -> np.ndarray:
    return np.pad(values.ravel(), (0, _rounded(values.size) - values.size))
