"""Runs a static network for one picture in one compiled function.

A small network has hundreds of layers of a few microseconds each. Called one by one from Python,
they take two to three times as long as the arithmetic. Here the network is a table of steps, and
one compiled function runs the whole table. `graph_steps` makes the table. Sums are rounded in
another order than in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba as nb
import numpy as np

Shape = tuple[int, int, int]

MULTIPLY, DEPTHWISE, GATHER, ADD, POOL, PAD = range(6)
"""Kinds of steps. A convolution gathers its windows and then multiplies them by a matrix."""
STEP = np.dtype(
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

    steps: records (STEP). weights: all of them, flat. size: floats of memory that a run needs.
    start: where the input begins in this memory. outputs: where each output begins there, and its
    shape.
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
