"""The networks as files for other programs: ONNX, and programs of torch.export.

Each network becomes one file with a free batch size. `manifest.json` beside them names inputs,
outputs, shapes and value ranges. Drawing, sampling and composition are not networks, and stay here:
the surface of the head is drawn by compiled loops over triangles, which ONNX cannot express.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.errors import UserError
from reenact.face.graph import StaticGraph, load_graphs
from reenact.face.params import NUM_MOTION_VALUES
from reenact.files import atomic_output
from reenact.models.weights import ReenactorWeights
from reenact.version import __version__

TOLERANCE = 1e-4
"""A file must give torch's own results within this share of the largest value (at least of 1)."""
TRACED_BATCH = 2
CHECKED_BATCHES = (1, 3)

Outputs = tuple[Tensor, ...]
Run = Callable[[Sequence[Tensor]], Outputs]


@dataclass(frozen=True, kw_only=True)
class Value:
    """One input or output of a network.

    shape: without the batch, which is the first axis. values: what they mean, in which range.
    dtype: "float32" or "int64". low, high: range of the random inputs that check the file.
    """

    name: str
    shape: tuple[int, ...]
    values: str
    dtype: str = "float32"
    low: float = -1.0
    high: float = 1.0

    def example(self, batch: int) -> Tensor:
        """Random values (batch, *shape)."""
        if self.dtype == "int64":
            return torch.randint(int(self.low), int(self.high) + 1, (batch, *self.shape))
        return self.low + (self.high - self.low) * torch.rand(batch, *self.shape)


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network with the description of its inputs and outputs, in the order of its arguments."""

    name: str
    purpose: str
    module: nn.Module
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


class _OneInput(nn.Module):
    """A static graph with a named argument."""

    def __init__(self, graph: StaticGraph) -> None:
        super().__init__()
        self.net = graph  # torch.export has its own attribute `graph`

    def forward(self, values: Tensor) -> Outputs:
        return self.net(values)


def networks_of(weights: ReenactorWeights) -> list[Network]:
    """The networks of the open tracker, the person mask, and those of the weights."""
    tracker, _ = load_graphs(asset_path("tracker.safetensors"))
    identity, _ = load_graphs(asset_path("identity.safetensors"))
    person, _ = load_graphs(asset_path("person_mask.safetensors"))
    config = weights.diffae.config
    side, code = config.image_size, Value(name="z_sem", shape=(config.z_channels,), values="code")
    picture = "RGB, channels first, in [-1, 1]"
    image = Value(name="image", shape=(3, side, side), values=picture)
    source = Value(name="source", shape=(3, side, side), values=f"face crop, {picture}")
    drawing = Value(name="landmark_map", shape=(3, side, side), values=f"drawing, {picture}")
    motion = Value(name="motion", shape=(NUM_MOTION_VALUES,), values="see face/params.py")
    return [
        Network(
            name="tracker_detector",
            purpose="finds faces: 896 boxes around the anchors of two grids",
            module=_OneInput(tracker["detector"]),
            inputs=(Value(name="image", shape=(3, 128, 128), values=picture),),
            outputs=(
                Value(name="regressors", shape=(896, 16), values="pixels from the anchors"),
                Value(name="scores", shape=(896, 1), values="logits"),
            ),
        ),
        Network(
            name="tracker_landmarks",
            purpose="478 points of a face",
            module=_OneInput(tracker["landmarks"]),
            inputs=(Value(name="image", shape=(3, 256, 256), values="RGB in [0, 1]", low=0.0),),
            outputs=(
                Value(name="points", shape=(478 * 3,), values="x, y, z in pixels of the input"),
                Value(name="presence", shape=(1,), values="logit of a face"),
            ),
        ),
        Network(
            name="tracker_blendshapes",
            purpose="52 expression scores from 146 of the points",
            module=_OneInput(tracker["blendshapes"]),
            inputs=(
                Value(name="points", shape=(2, 1, 146), values="x, y in pixels", low=0, high=256),
            ),
            outputs=(Value(name="scores", shape=(52,), values="in [0, 1], neutral first"),),
        ),
        Network(
            name="tracker_identity",
            purpose="who it is, from a face aligned by five points",
            module=_OneInput(identity["sface"]),
            inputs=(
                Value(name="image", shape=(3, 112, 112), values="RGB in [0, 255]", low=0, high=255),
            ),
            outputs=(Value(name="embedding", shape=(128,), values="any length"),),
        ),
        Network(
            name="person_mask",
            purpose="which pixels show a person",
            module=_OneInput(person["person"]),
            inputs=(Value(name="image", shape=(3, 256, 256), values="RGB in [0, 1]", low=0.0),),
            outputs=(Value(name="person", shape=(1, 256, 256), values="probability"),),
        ),
        Network(
            name="diffae_encoder",
            purpose="DiffAE's semantic encoder",
            module=weights.diffae.encoder,
            inputs=(image,),
            outputs=(code,),
        ),
        Network(
            name="reenactment_encoder",
            purpose="E_r: the code of the source as the drawing shows it",
            module=weights.encoder,
            inputs=(source, drawing) + ((motion,) if weights.encoder.motion_head else ()),
            outputs=(code,),
        ),
        Network(
            name="unet",
            purpose="one step of the U-Net that renders",
            module=weights.unet or weights.diffae.unet,
            inputs=(
                Value(name="x_t", shape=image.shape, values="noised picture", low=-3, high=3),
                Value(
                    name="t", shape=(), values="timestep, 0 to 999", dtype="int64", low=0, high=999
                ),
                code,
            ),
            outputs=(Value(name=config.prediction, shape=image.shape, values="prediction"),),
        ),
    ]


def export_onnx(network: Network, folder: Path) -> float:
    """Write `<name>.onnx`, and return its largest difference from torch, see `TOLERANCE`.

    Raises UserError if onnx, onnxscript or onnxruntime is missing, and for a file that differs.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--onnx: {error.name} is missing, pip install onnx onnxscript onnxruntime"
        ) from error

    def load(path: Path) -> Run:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [value.name for value in network.inputs]

        def run(inputs: Sequence[Tensor]) -> Outputs:
            arrays = {n: tensor.numpy() for n, tensor in zip(names, inputs, strict=True)}
            return tuple(torch.from_numpy(array) for array in session.run(None, arrays))

        return run

    with atomic_output(folder / f"{network.name}.onnx") as path, _quiet():
        torch.onnx.export(
            _program(network),
            f=str(path),
            input_names=[value.name for value in network.inputs],
            output_names=[value.name for value in network.outputs],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return _checked(network, load(path), "onnxruntime")


def export_program(network: Network, folder: Path) -> float:
    """Write `<name>.pt2`, which `torch.export.load` reads; else like `export_onnx`."""
    with atomic_output(folder / f"{network.name}.pt2") as path, _quiet():
        torch.export.save(_program(network), path)
        module = torch.export.load(path).module()

        def run(inputs: Sequence[Tensor]) -> Outputs:
            return _as_tuple(module(*inputs))

        return _checked(network, run, "the exported program")


def write_manifest(networks: Sequence[Network], weights: ReenactorWeights, folder: Path) -> None:
    """Write `manifest.json`: the networks' inputs and outputs, the recipe, DiffAE's config."""

    def described(values: Sequence[Value]) -> list[dict[str, object]]:
        return [
            {
                "name": value.name,
                "shape": ["batch", *value.shape],
                "dtype": value.dtype,
                "values": value.values,
            }
            for value in values
        ]

    content = {
        "version": __version__,
        "diffae": json.loads(weights.diffae.config.to_json()),
        "recipe": None if weights.recipe is None else asdict(weights.recipe),
        "networks": {
            network.name: {
                "purpose": network.purpose,
                "inputs": described(network.inputs),
                "outputs": described(network.outputs),
            }
            for network in networks
        },
    }
    with atomic_output(folder / "manifest.json") as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _program(network: Network) -> torch.export.ExportedProgram:
    module = network.module.eval()
    inputs = tuple(value.example(TRACED_BATCH) for value in network.inputs)
    batch = torch.export.Dim("batch", max=1024)
    return torch.export.export(module, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))


@torch.no_grad()
def _checked(network: Network, run: Run, what: str) -> float:
    """The largest difference from torch. Raises UserError if it is too large."""
    worst = 0.0
    for batch in CHECKED_BATCHES:
        inputs = [value.example(batch) for value in network.inputs]
        expected = _as_tuple(network.module(*inputs))
        for value, a, b in zip(network.outputs, expected, run(inputs), strict=True):
            difference = float((a - b).abs().max()) / max(1.0, float(a.abs().max()))
            if not difference <= TOLERANCE:
                raise UserError(
                    f"{network.name}: {what} gives another {value.name} than torch, by "
                    f"{difference:.1e} of its largest value; the file was not written"
                )
            worst = max(worst, difference)
    return worst


def _as_tuple(result: Tensor | Sequence[Tensor]) -> Outputs:
    return (result,) if isinstance(result, Tensor) else tuple(result)


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporters write many lines that concern only their authors."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
