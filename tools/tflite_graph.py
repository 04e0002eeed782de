"""Translates a TFLite flatbuffer into the node list of reenact.face.graph.

Only tools that build assets use it. Needs `pip install tflite`.

TFLite tensors are NHWC and the nodes work on NCHW, so every 4-d constant and axis is permuted here.
A 3-d value (1, N, C) is read as (1, 1, N, C). The exception is a reshape that makes anchor rows (1,
N, k) of a map.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tflite

Array = np.ndarray[Any, Any]
_DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 4: np.int64, 9: np.int8}
_CODES = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
_NCHW = (0, 2, 3, 1)  # NHWC axis -> NCHW axis
_ELEMENTWISE = {
    "ADD": "add",
    "SUB": "sub",
    "MUL": "mul",
    "DIV": "div",
    "NEG": "neg",
    "SQRT": "sqrt",
    "RSQRT": "rsqrt",
    "RELU": "relu",
    "HARD_SWISH": "hard_swish",
    "LOGISTIC": "sigmoid",
    "SQUARED_DIFFERENCE": "squared_difference",
}


def _options(operator: Any, kind: Callable[[], Any]) -> Any:
    options, table = kind(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def _activation(code: int) -> dict[str, str]:
    if code not in (0, 1):
        raise ValueError(f"fused activation {code} is not supported")
    return {"act": "relu"} if code == 1 else {}


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Translator:
    def __init__(self, path: Path) -> None:
        self.model = tflite.Model.GetRootAs(path.read_bytes(), 0)
        self.graph = self.model.Subgraphs(0)
        self.constants: dict[int, Array] = {}
        self.names: dict[int, str] = {}
        self.rows: set[int] = set()  # values in anchor-row layout
        self.nodes: list[dict[str, Any]] = []
        self.weights: dict[str, Array] = {}

    def shape(self, index: int) -> list[int]:
        tensor = self.graph.Tensors(index)
        return tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else []

    def read_constants(self) -> None:
        for i in range(self.graph.TensorsLength()):
            tensor = self.graph.Tensors(i)
            data = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
            if isinstance(data, np.ndarray) and data.size:
                array = np.frombuffer(data.tobytes(), _DTYPES[tensor.Type()])
                self.constants[i] = array.reshape(self.shape(i))

    def weight(self, key: str, array: Array) -> str:
        self.weights.setdefault(key, np.ascontiguousarray(array))
        return key

    def value(self, index: int) -> str:
        """The name of an operand; a constant becomes a weight broadcastable against NCHW values."""
        if index not in self.constants:
            return self.names[index]
        array = self.constants[index]
        if array.ndim == 4:
            array = array.transpose(0, 3, 1, 2)
        elif array.ndim == 1:
            array = array[:, None, None]
        return self.weight(f"c{index}", array)

    def emit(self, op: str, inputs: list[str], output: int, **attributes: Any) -> None:
        self.names[output] = f"v{output}"
        self.nodes.append({"op": op, "in": inputs, "out": f"v{output}", **attributes})

    def axis(self, index: int) -> int:
        """A constant axis of a reduction, from NHWC to NCHW. -2 is W for 3-d and 4-d values."""
        (axis,) = np.atleast_1d(self.constants[index]).tolist()
        return _NCHW[axis % 4]

    def convolution(self, operator: Any, inputs: list[int], output: int, depthwise: bool) -> None:
        kind = tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions
        options, kernel = _options(operator, kind), self.constants[inputs[1]]
        stride = (options.StrideH(), options.StrideW())
        pad_h = pad_w = (0, 0)
        if options.Padding() == 0:
            height, width = self.shape(inputs[0])[1:3]
            pad_h = _same_padding(height, kernel.shape[1], stride[0])
            pad_w = _same_padding(width, kernel.shape[2], stride[1])
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        names = [self.value(inputs[0]), self.weight(f"k{inputs[1]}", kernel.transpose(order))]
        names.append(self.weight(f"b{inputs[2]}", self.constants[inputs[2]]))
        groups = kernel.shape[3] if depthwise else 1
        activation = _activation(options.FusedActivationFunction())
        self.emit(
            "conv", names, output, stride=stride, pad=[*pad_w, *pad_h], groups=groups, **activation
        )

    def pool(self, operator: Any, inputs: list[int], output: int) -> None:
        options = _options(operator, tflite.Pool2DOptions)
        kernel, stride = (
            (options.FilterHeight(), options.FilterWidth()),
            (options.StrideH(), options.StrideW()),
        )
        if kernel != stride or any(
            n % k for n, k in zip(self.shape(inputs[0])[1:3], kernel, strict=True)
        ):
            raise ValueError("only pooling without overlap or padding is supported")
        self.emit("max_pool", [self.value(inputs[0])], output, kernel=kernel, stride=stride)

    def mean_of_all(self, operator: Any, inputs: list[int], output: int) -> None:
        """An average pool over the whole map."""
        options = _options(operator, tflite.Pool2DOptions)
        if [options.FilterHeight(), options.FilterWidth()] != self.shape(inputs[0])[1:3]:
            raise ValueError("only average pooling of the whole map is supported")
        self.emit("mean", [self.value(inputs[0])], output, axis=[2, 3])

    def resize(self, operator: Any, inputs: list[int], output: int) -> None:
        """A bilinear resize in which the outer borders of both maps coincide."""
        options = _options(operator, tflite.ResizeBilinearOptions)
        if options.AlignCorners() or not options.HalfPixelCenters():
            raise ValueError("only bilinear resizing with half-pixel centres is supported")
        self.emit("resize", [self.value(inputs[0])], output, size=self.shape(output)[1:3])

    def transposed_convolution(self, inputs: list[int], output: int) -> None:
        """MediaPipe's Convolution2DTransposeBias, where windows neither overlap nor leave gaps."""
        kernel = self.constants[inputs[1]]
        old, new = self.shape(inputs[0])[1:3], self.shape(output)[1:3]
        stride = list(kernel.shape[1:3])
        if [n * k for n, k in zip(old, stride, strict=True)] != new:
            raise ValueError("only transposed convolutions with stride = kernel are supported")
        names = [self.value(inputs[0]), self.weight(f"k{inputs[1]}", kernel.transpose(3, 0, 1, 2))]
        names.append(self.weight(f"b{inputs[2]}", self.constants[inputs[2]]))
        self.emit("conv_transpose", names, output, stride=stride)

    def reshape(self, inputs: list[int], output: int) -> None:
        old, new = self.shape(inputs[0]), self.shape(output)
        if len(new) == 4 and new[-2:] == old[-2:]:
            self.names[output] = self.value(inputs[0])
        elif len(new) == 3:
            self.rows.add(output)
            self.emit("rows", [self.value(inputs[0])], output, width=new[-1])
        else:
            self.emit("flatten", [self.value(inputs[0])], output)

    def strided_slice(self, inputs: list[int], output: int) -> None:
        """A slice of the first columns. A slice of everything is another name of the value."""
        old, new = self.shape(inputs[0]), self.shape(output)
        if int(np.prod(old)) == int(np.prod(new)):
            self.names[output] = self.value(inputs[0])
            return
        if old[:2] + old[3:] != new[:2] + new[3:] or self.constants[inputs[1]].any():
            raise ValueError("only slices from 0 along W are supported")
        self.emit("slice", [self.value(inputs[0])], output, axis=3, start=0, length=new[2])

    def operator(self, name: str, operator: Any, inputs: list[int], output: int) -> None:
        if name == "DEQUANTIZE":
            self.constants[output] = self.constants[inputs[0]]
        elif name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.convolution(operator, inputs, output, name != "CONV_2D")
        elif name == "MAX_POOL_2D":
            self.pool(operator, inputs, output)
        elif name == "AVERAGE_POOL_2D":
            self.mean_of_all(operator, inputs, output)
        elif name == "RESIZE_BILINEAR":
            self.resize(operator, inputs, output)
        elif name == "Convolution2DTransposeBias":
            self.transposed_convolution(inputs, output)
        elif name == "PRELU":
            slope = self.weight(f"p{inputs[1]}", self.constants[inputs[1]].reshape(-1))
            self.emit("prelu", [self.value(inputs[0]), slope], output)
        elif name in ("MEAN", "SUM"):
            self.emit(name.lower(), [self.value(inputs[0])], output, axis=self.axis(inputs[1]))
        elif name == "PAD":
            pads = self.constants[inputs[1]]
            if pads.sum() != pads[3, 1]:
                raise ValueError("only channel padding at the end is supported")
            self.emit("pad_channels", [self.value(inputs[0])], output, count=int(pads[3, 1]))
        elif name == "CONCATENATION":
            axis = _options(operator, tflite.ConcatenationOptions).Axis()
            axis = axis if inputs[0] in self.rows else _NCHW[axis % 4]
            self.emit("concat", [self.value(i) for i in inputs], output, axis=axis)
        elif name == "TRANSPOSE":
            if self.constants[inputs[1]].tolist() != [0, 1, 3, 2]:
                raise ValueError("only a swap of W and C is supported")
            self.emit("swap", [self.value(inputs[0])], output, axes=[1, 3])
        elif name == "RESHAPE":
            self.reshape(inputs, output)
        elif name == "STRIDED_SLICE":
            self.strided_slice(inputs, output)
        elif name in _ELEMENTWISE:
            self.elementwise(name, operator, inputs, output)
        else:
            raise ValueError(f"operator {name} is not supported")

    def elementwise(self, name: str, operator: Any, inputs: list[int], output: int) -> None:
        activation: dict[str, str] = {}
        if name in ("ADD", "SUB", "MUL", "DIV"):
            kind = getattr(tflite, f"{name.title()}Options")
            activation = _activation(_options(operator, kind).FusedActivationFunction())
        self.emit(_ELEMENTWISE[name], [self.value(i) for i in inputs], output, **activation)

    def run(self, outputs: list[str]) -> tuple[dict[str, Any], dict[str, Array]]:
        self.read_constants()
        (first,) = self.graph.InputsAsNumpy().tolist()
        self.names[first] = "input"
        for i in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = _CODES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if name == "CUSTOM":
                name = code.CustomCode().decode()
            (output,) = operator.OutputsAsNumpy().tolist()
            self.operator(name, operator, operator.InputsAsNumpy().tolist(), output)
        by_name = {
            self.graph.Tensors(i).Name().decode(): i for i in self.graph.OutputsAsNumpy().tolist()
        }
        spec = {
            "inputs": ["input"],
            "outputs": [self.names[by_name[o]] for o in outputs],
            "nodes": self.nodes,
        }
        return spec, self.weights


def translate_tflite(path: Path, outputs: list[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """The graph spec and the weights of a .tflite file.

    outputs: names of tensors in the file. The graph gives them in this order.

    Raises ValueError for operators and options that the shipped networks do not use.
    """
    return _Translator(path).run(outputs)
