"""Writes a shipped .safetensors asset, byte for byte the same each time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

ASSETS = Path(__file__).resolve().parents[1] / "reenact/assets"


def write_asset(
    name: str, tensors: dict[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]
) -> None:
    """Write reenact/assets/`name` and print its size.

    safetensors writes the metadata in random order. Here it is sorted, and the header is filled up
    with spaces to a multiple of 8 bytes.
    """
    data = save(tensors, dict(metadata))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = ASSETS / name
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    print(f"{name}: {path.stat().st_size} bytes")
