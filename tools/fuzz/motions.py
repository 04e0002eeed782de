"""Motion files as targets: damaged bytes, a changed header, changed arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tools.fuzz import material
from tools.fuzz.case import Case
from tools.fuzz.typed import one_of

TEXTS: tuple[Any, ...] = (
    *("", "open", "released", "moon", "x" * 5000, "30000/1001", "1/0", "-1", "nan", "1e400"),
    *(None, True, 0, 1, -1, 128, 10**30, 1e300, [], {}, [1, 2]),
)
NUMBERS = (0, 1, -1, 0.5, 255, 1e30, -1e30, 2**62, float("nan"), float("inf"))


def motion_case(rng: np.random.Generator, folder: Path) -> Case:
    """A good photo as source, a motion file as target."""
    source = material.write_photo(folder / "source.png")
    target = folder / "target.motion.safetensors"
    target.write_bytes(material.motion())
    is_good = rng.random() < 0.1
    if not is_good:
        if rng.random() < 0.3:
            target.write_bytes(material.damaged(rng, target.read_bytes()))
        else:
            change(rng, target)
    output = folder / "result.mp4"
    words = material.inference(folder, source, target, output)
    words += (f"--set=compose={one_of(rng, material.COMPOSITIONS)}",)
    return Case(
        kind="motion",
        words=words,
        output=output,
        num_frames=material.NUM_FRAMES if is_good else None,
        files=(source, target),
    )


def change(rng: np.random.Generator, path: Path) -> None:
    """Change one value of the header, or one array."""
    with safe_open(path, framework="np") as file:
        ((form, text),) = file.metadata().items()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = json.loads(text)
    if rng.random() < 0.4:
        key = one_of(rng, [*header, "new"])
        if rng.random() < 0.2:
            header.pop(key, None)
        else:
            header[key] = one_of(rng, TEXTS)
    else:
        name = one_of(rng, sorted(arrays))
        arrays[name] = changed(rng, arrays[name])
    save_file(arrays, path, metadata={form: json.dumps(header)})


def changed(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """Other numbers in an array, another shape, or another type."""
    array = array.copy()
    number = one_of(rng, NUMBERS)
    with np.errstate(all="ignore"):
        match int(rng.integers(5)):
            case 0:
                array[...] = np.asarray(number).astype(array.dtype)
            case 1:
                array.flat[int(rng.integers(array.size))] = np.asarray(number).astype(array.dtype)
            case 2:
                array = array[: int(rng.integers(len(array)))]
            case 3:
                array = array.astype(one_of(rng, (np.float16, np.float64, np.int8, np.uint64)))
            case _:
                array = array[::-1]
    return np.ascontiguousarray(array)
