"""Runs a static network for one picture in one compiled function.

A small network has hundreds of layers of a few microseconds each. Called one by one from Python,
they take two to three times as long as the arithmetic. Here the network is a table of steps, and
one compiled function runs the whole table. Sums are rounded in another order than in torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np

Node = Mapping[str, Any]
Shape = tuple[int, int, int]

MULTIPLY, DEPTHWISE, GATHER, ADD, POOL, PAD = range(6)
"""Kinds of steps. A convolution gathers its windows and then multiplies them by a matrix."""
_STEP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kind",
            "x",  # where the input begins in memory; so do the next two
            "added",  # a second input that is added to the result; -1: none
            "out",
            "weights",  # where they begin among all weights; so do bias and slopes
            "depth",  # weights for each of the planes
            "bias",
            "slopes",  # of negative results, one for each channel; -1: they stay as they are
            "channels",  # of the input
            "height",
            "width",
            "planes",  # channels of the result
            "rows",
            "columns",
            "kernel",
            "stride",
            "top",  # pixels of padding
            "left",
        )
    ]
)
BLOCK = 4
"""So many channels are multiplied at a time. Numbers of channels are rounded up to it."""
TILE = 512
"""So many pixels of all channels stay in the fast cache while a matrix is multiplied."""


@dataclass(frozen=True, kw_only=True)
class GraphLoops:
    """A network for inputs of one shape (C, H, W). Threads may use it at the same time.

    steps: records (_STEP). weights: all of them, flat. size: floats of memory that a run needs.
    start: where its input begins there. outputs: where these begin, and their shapes.
    """

    steps: np.ndarray
    weights: np.ndarray
    size: int
    start: int
    outputs: Sequence[tuple[int, Shape]]

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """One input (C, H, W) float32 -> the outputs, each (C, H, W)."""
        memory = np.empty(self.size, np.float32)
        memory[self.start : self.start + picture.size] = picture.ravel()
        _run(self.steps, self.weights, memory)
        return [memory[a : a + np.prod(shape)].reshape(shape).copy() for a, shape in self.outputs]


def graph_loops(
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
            steps=np.array(self.steps, _STEP),
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
        self.steps.append(tuple(known.get(name, 0) for name in _STEP.names or ()))

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


@nb.njit(cache=True, fastmath=True, nogil=True)
def _run(steps: np.ndarray, weights: np.ndarray, memory: np.ndarray) -> None:
    """Runs all steps. The input is in the memory, and so are the outputs afterwards."""
    for i in range(len(steps)):
        step = steps[i]
        count = step.rows * step.columns
        x = memory[step.x : step.x + step.channels * step.height * step.width]
        x = x.reshape((step.channels, step.height, step.width))
        out = memory[step.out : step.out + step.planes * count].reshape((step.planes, count))
        added = out
        if step.added >= 0:
            added = memory[step.added : step.added + step.planes * count].reshape(out.shape)
        bias = weights[step.bias : step.bias + step.planes]
        matrix = weights[step.weights : step.weights + step.planes * step.depth]
        matrix = matrix.reshape((step.planes, step.depth))
        if step.kind == MULTIPLY:
            _multiply(x.reshape((step.channels, count)), matrix, bias, out)
        elif step.kind == DEPTHWISE:
            _depthwise(x, matrix, bias, out.reshape(x.shape))
        elif step.kind == GATHER:
            shape = (step.planes, step.rows, step.columns)
            _gather(x, step.kernel, step.stride, step.top, step.left, out.reshape(shape))
        elif step.kind == ADD:
            out[:] = x.reshape(out.shape) + added
        elif step.kind == POOL:
            _pool(x, out.reshape((step.planes, step.rows, step.columns)))
        else:
            out[:] = 0
            out[: step.channels] = x.reshape((step.channels, count))
        if step.slopes >= 0:
            slopes = weights[step.slopes : step.slopes + step.planes]
            _finish(slopes, added, out, step.added >= 0)


@nb.njit(cache=True, fastmath=True, nogil=True)
def _multiply(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """A matrix (P, C) times the channels (C, N) of all pixels, in blocks of 4 x 4 channels."""
    count = x.shape[1]
    if count == 1:
        for o in range(len(matrix)):
            total = bias[o]
            for c in range(len(x)):
                total += matrix[o, c] * x[c, 0]
            out[o, 0] = total
        return
    for start in range(0, count, TILE):
        end = min(start + TILE, count)
        for o in range(0, len(matrix), BLOCK):
            out0, out1 = out[o, start:end], out[o + 1, start:end]
            out2, out3 = out[o + 2, start:end], out[o + 3, start:end]
            a, b, d, e = matrix[o], matrix[o + 1], matrix[o + 2], matrix[o + 3]
            for k in range(end - start):
                out0[k], out1[k], out2[k], out3[k] = bias[o], bias[o + 1], bias[o + 2], bias[o + 3]
            for c in range(0, len(x), BLOCK):
                x0, x1 = x[c, start:end], x[c + 1, start:end]
                x2, x3 = x[c + 2, start:end], x[c + 3, start:end]
                a0, a1, a2, a3 = a[c], a[c + 1], a[c + 2], a[c + 3]
                b0, b1, b2, b3 = b[c], b[c + 1], b[c + 2], b[c + 3]
                d0, d1, d2, d3 = d[c], d[c + 1], d[c + 2], d[c + 3]
                e0, e1, e2, e3 = e[c], e[c + 1], e[c + 2], e[c + 3]
                for k in range(end - start):
                    p, q, r, s = x0[k], x1[k], x2[k], x3[k]
                    out0[k] += a0 * p + a1 * q + a2 * r + a3 * s
                    out1[k] += b0 * p + b1 * q + b2 * r + b3 * s
                    out2[k] += d0 * p + d1 * q + d2 * r + d3 * s
                    out3[k] += e0 * p + e1 * q + e2 * r + e3 * s


@nb.njit(cache=True, fastmath=True, nogil=True)
def _finish(slopes: np.ndarray, added: np.ndarray, out: np.ndarray, adds: bool) -> None:
    """Adds planes to `out` (P, N), and scales what is negative."""
    for o in range(len(out)):
        plane, more, slope = out[o], added[o], slopes[o]
        if adds:
            for k in range(len(plane)):
                value = plane[k] + more[k]
                plane[k] = max(value, np.float32(0)) + slope * min(value, np.float32(0))
        else:
            for k in range(len(plane)):
                value = plane[k]
                plane[k] = max(value, np.float32(0)) + slope * min(value, np.float32(0))


@nb.njit(cache=True, fastmath=True, nogil=True)
def _depthwise(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """3 x 3 windows of each channel on its own, with a border of zeros."""
    channels, height, width = x.shape
    nothing = np.zeros(width, np.float32)
    last = width - 1
    for c in range(channels):
        w, first = matrix[c], bias[c]
        w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
        for y in range(height):
            above = x[c, y - 1] if y > 0 else nothing
            here = x[c, y]
            below = x[c, y + 1] if y < height - 1 else nothing
            row = out[c, y]
            for k in range(1, last):
                row[k] = (
                    (first + w0 * above[k - 1] + w1 * above[k] + w2 * above[k + 1])
                    + (w3 * here[k - 1] + w4 * here[k] + w5 * here[k + 1])
                    + (w6 * below[k - 1] + w7 * below[k] + w8 * below[k + 1])
                )
            row[0] = (
                (first + w1 * above[0] + w2 * above[1])
                + (w4 * here[0] + w5 * here[1])
                + (w7 * below[0] + w8 * below[1])
            )
            row[last] = (
                (first + w0 * above[last - 1] + w1 * above[last])
                + (w3 * here[last - 1] + w4 * here[last])
                + (w6 * below[last - 1] + w7 * below[last])
            )


@nb.njit(cache=True, fastmath=True, nogil=True)
def _gather(x: np.ndarray, kernel: int, stride: int, top: int, left: int, out: np.ndarray) -> None:
    """The pixels of all windows: one plane for each channel and place in the window."""
    channels, height, width = x.shape
    out[:] = 0
    for c in range(channels):
        for dy in range(kernel):
            for dx in range(kernel):
                plane = out[(c * kernel + dy) * kernel + dx]
                for row in range(out.shape[1]):
                    y = row * stride + dy - top
                    if y < 0 or y >= height:
                        continue
                    for column in range(out.shape[2]):
                        u = column * stride + dx - left
                        if 0 <= u < width:
                            plane[row, column] = x[c, y, u]


@nb.njit(cache=True, fastmath=True, nogil=True)
def _pool(x: np.ndarray, out: np.ndarray) -> None:
    """The largest of 2 x 2 pixels."""
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            above, below = x[c, 2 * y], x[c, 2 * y + 1]
            for u in range(out.shape[2]):
                out[c, y, u] = max(above[2 * u], above[2 * u + 1], below[2 * u], below[2 * u + 1])
