"""Rebuilds reenact/assets/person_mask.safetensors: the network that tells people from background.

Source: MediaPipe's selfie segmentation in the npm package of the same name. Needs `npm`, and
`pip install tflite` beside the project's requirements. Run from the repository root:
`python -m tools.build_person_mask [--packages FOLDER]`.
"""

import argparse
import json
import tempfile
from pathlib import Path

from reenact.errors import exit_code
from tools.asset_file import write_asset
from tools.sources import npm_file
from tools.tflite_graph import translate_tflite

PACKAGE, MEMBER = "@mediapipe/selfie_segmentation@0.1.1675465747", "selfie_segmentation.tflite"
SHA256 = "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27"


def build(packages: Path | None = None) -> None:
    """Writes the asset. Weights are float16, as in the source."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MEMBER
        path.write_bytes(npm_file(PACKAGE, MEMBER, SHA256, packages))
        spec, weights = translate_tflite(path, ["activation_10"])
    tensors = {f"person/{name}": array for name, array in weights.items()}
    origin = f"{PACKAGE}: {MEMBER} (sha256 {SHA256})"
    metadata = {"graphs": json.dumps({"person": spec}), "origin": origin, "licence": "Apache-2.0"}
    write_asset("person_mask.safetensors", tensors, metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, help="folder that holds (or receives) the package")
    build(parser.parse_args().packages)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
