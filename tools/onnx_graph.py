"""Translates the SFace ONNX file into the node list of reenact.face.graph.

Only `tools.build_identity` uses it. Needs `pip install onnx`.

The convolution and matrix weights stay int8 with a scale and a zero per block. Batch normalisation
that follows them is folded exactly: it multiplies the scales of an output row and gives a bias.
"""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

Array = np.ndarray[Any, Any]


class _Translator:
    def __init__(self, data: bytes) -> None:
        self.graph = onnx.load_from_string(data).graph
        self.constants = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}
        self.names: dict[str, str] = {}
        # Codes (O, N), scale, and zero (O, blocks) by the name of a weight.
        self.quantised: dict[str, tuple[Array, Array, Array]] = {}
        self.true_shapes: dict[str, list[int]] = {}
        self.nodes: list[dict[str, Any]] = []
        self.weights: dict[str, Array] = {}
        self.shapes: dict[str, list[int]] = {}
        self.foldable: dict[str, str] = {}  # value -> key of the weight whose output it is

    def emit(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.names[output] = output
        self.nodes.append({"op": op, "in": inputs, "out": output, **attributes})

    def store_quantised(self, name: str) -> str:
        codes, scale, zero = self.quantised[name]
        key = name.removesuffix("_reshaped").removesuffix("_dequantized")
        self.shapes[key] = self.true_shapes.get(name, list(codes.shape))
        self.weights |= {f"{key}.codes": codes, f"{key}.scale": scale.copy(), f"{key}.zero": zero}
        self.weights[f"{key}_bias"] = np.zeros(codes.shape[0], np.float32)
        return key

    def dequantise_node(self, node: Any, attributes: dict[str, Any]) -> None:
        codes, scale, zero = (self.constants[i] for i in node.input)
        if codes.ndim == 1:
            block = attributes["block_size"]
            spread = [np.repeat(a.astype(np.float32), block)[: len(codes)] for a in (scale, zero)]
            self.constants[node.output[0]] = (codes - spread[1]) * spread[0]
            return
        if attributes["axis"] != 1:
            raise ValueError(
                f"{node.output[0]}: blocks along axis {attributes['axis']} are not supported"
            )
        self.quantised[node.output[0]] = (codes, scale, zero)

    def batch_norm(self, node: Any, attributes: dict[str, Any]) -> None:
        gamma, beta, mean, var = (self.constants[i].astype(np.float64) for i in node.input[1:])
        factor = gamma / np.sqrt(var + attributes["epsilon"])
        offset = beta - mean * factor
        source, output = node.input[0], node.output[0]
        key = self.foldable.get(source)
        if key is None:
            self.weights[f"{output}_factor"] = factor.astype(np.float32)[:, None, None]
            self.weights[f"{output}_offset"] = offset.astype(np.float32)[:, None, None]
            self.emit("mul", [self.names[source], f"{output}_factor"], f"{output}_scaled")
            self.emit("add", [f"{output}_scaled", f"{output}_offset"], output)
            return
        bias = self.weights[f"{key}_bias"] * factor + offset
        self.weights[f"{key}.scale"] = (self.weights[f"{key}.scale"] * factor[:, None]).astype(
            np.float32
        )
        self.weights[f"{key}_bias"] = bias.astype(np.float32)
        self.names[output] = self.names[source]

    def convolution(self, node: Any, attributes: dict[str, Any]) -> None:
        key, output = self.store_quantised(node.input[1]), node.output[0]
        top, left, bottom, right = attributes["pads"]
        self.emit(
            "conv",
            [self.names[node.input[0]], key, f"{key}_bias"],
            output,
            stride=list(attributes["strides"]),
            pad=[left, right, top, bottom],
            groups=attributes["group"],
        )
        self.foldable[output] = key

    def matrix(self, node: Any, attributes: dict[str, Any]) -> None:
        if not attributes["transB"]:
            raise ValueError("only Gemm with transB is supported")
        key, output = self.store_quantised(node.input[1]), node.output[0]
        self.weights[f"{key}_bias"] = self.constants[node.input[2]].astype(np.float32)
        self.emit("linear", [self.names[node.input[0]], key, f"{key}_bias"], output)
        self.foldable[output] = key

    def node(self, node: Any) -> None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        output, kind = node.output[0], node.op_type
        if kind == "DequantizeLinear":
            self.dequantise_node(node, attributes)
        elif kind == "Reshape":
            self.quantised[output] = self.quantised[node.input[0]]
            self.true_shapes[output] = self.constants[node.input[1]].tolist()
        elif kind == "BatchNormalization":
            self.batch_norm(node, attributes)
        elif kind == "Conv":
            self.convolution(node, attributes)
        elif kind == "Gemm":
            self.matrix(node, attributes)
        elif kind == "PRelu":
            self.weights[node.input[1]] = self.constants[node.input[1]].reshape(-1)
            self.emit("prelu", [self.names[node.input[0]], node.input[1]], output)
        elif kind in ("Sub", "Mul"):
            self.weights[node.input[1]] = self.constants[node.input[1]].astype(np.float32)
            self.emit(kind.lower(), [self.names[node.input[0]], node.input[1]], output)
        elif kind == "Flatten":
            self.emit("flatten", [self.names[node.input[0]]], output)
        elif kind == "Dropout":
            self.names[output] = self.names[node.input[0]]
        elif kind != "Constant":
            raise ValueError(f"operator {kind} is not supported")

    def run(self) -> tuple[dict[str, Any], dict[str, Array]]:
        # The other declared inputs are weights that were left over.
        inputs = [self.graph.input[0].name]
        self.names[inputs[0]] = inputs[0]
        for node in self.graph.node:
            self.node(node)
        outputs = [self.names[o.name] for o in self.graph.output]
        spec = {"inputs": inputs, "outputs": outputs, "nodes": self.nodes, "shapes": self.shapes}
        return spec, {k: np.ascontiguousarray(v) for k, v in self.weights.items()}


def translate_onnx(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The graph spec and the weights of an ONNX file.

    Raises ValueError for operators and options that SFace does not use.
    """
    return _Translator(data).run()
