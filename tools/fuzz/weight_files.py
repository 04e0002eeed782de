"""Weights whose header or tensors were changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tools.fuzz import material
from tools.fuzz.case import Case

TEXTS: tuple[Any, ...] = (
    *(
        "",
        "../../../etc/passwd",
        "/etc/passwd",
        "x" * 5000,
        None,
        1,
        -1,
        1e300,
        [],
        {},
        "{",
        "null",
    ),
    *('{"num_steps": 0}', '{"num_steps": 2, "x_T": "moon"}', "embedded_diffae.safetensors"),
)


def weights_case(rng: np.random.Generator, folder: Path) -> Case:
    """A good photo and target, weights that were changed."""
    source = material.write_photo(folder / "source.png")
    target = material.write_photo(folder / "target.png")
    output = folder / "result.png"
    words = material.inference(folder, source, target, output)
    path = folder / "tiny.safetensors"
    path.write_bytes(changed(rng, path.read_bytes()))
    if rng.random() < 0.1:
        path.unlink()
        path.mkdir()
    return Case(kind="weights", words=words, output=output, files=(source, target))


def changed(rng: np.random.Generator, data: bytes) -> bytes:
    """Damaged bytes, a changed header, or tensors of NaN."""
    if rng.random() < 0.3:
        return material.damaged(rng, data)
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    if rng.random() < 0.15:
        body[:] = np.full(len(body) // 4, np.nan, np.float32).tobytes()
    inner_key = next(iter(header["__metadata__"]))
    inner = json.loads(header["__metadata__"][inner_key])
    value = TEXTS[int(rng.integers(len(TEXTS)))]
    match int(rng.integers(4)):
        case 0:
            inner[str(rng.choice([*inner, "diffae_file", "recipe"]))] = value
        case 1:
            inner.pop(str(rng.choice(list(inner))))
        case 2:
            names = [name for name in header if name != "__metadata__"]
            header.pop(str(rng.choice(names)))
        case _:
            names = [name for name in header if name != "__metadata__"]
            header[str(rng.choice(names))]["shape"] = [1, 2, 3]
    header["__metadata__"][inner_key] = json.dumps(inner)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)
