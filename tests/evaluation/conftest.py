import json
from pathlib import Path

import numpy as np
import pytest

NUM_CLIPS, NUM_FRAMES, SIZE = 3, 6, 16
WIDTHS = {
    "identity": (80,),
    "expression": (52,),
    "rotation": (3,),
    "translation": (2,),
    "scale": (),
    "gaze": (2,),
}


@pytest.fixture
def clips_folder(tmp_path: Path) -> Path:
    """Three test clips and one training clip of random pictures, in the format of the generator."""
    folder = tmp_path / "clips"
    rng = np.random.default_rng(0)
    names = [f"test_{i:06d}" for i in range(NUM_CLIPS)]
    entries = []
    for i, name in enumerate([*names, "train_000000"]):
        clip = folder / name
        clip.mkdir(parents=True)
        shape = (NUM_FRAMES, SIZE, SIZE, 3)
        np.save(clip / "frames.npy", rng.integers(0, 256, shape, dtype=np.uint8))
        np.save(clip / "masks.npy", rng.integers(0, 256, shape[:3], dtype=np.uint8))
        np.save(clip / "cross_frames.npy", rng.integers(0, 256, (2, *shape[1:]), dtype=np.uint8))
        np.save(clip / "cross_masks.npy", rng.integers(0, 256, (2, *shape[1:3]), dtype=np.uint8))
        others = [other for other in names if other != name][:2]
        (clip / "cross.json").write_text(
            json.dumps(
                [
                    {"source_frame": 0, "target_clip": other, "target_frame": k + 1}
                    for k, other in enumerate(others)
                ]
            )
        )
        params = {
            key: rng.normal(0, 0.2, (NUM_FRAMES, *width)).astype(np.float32)
            for key, width in WIDTHS.items()
        }
        params["expression"] = np.clip(params["expression"], 0, 1)
        params["translation"] += SIZE / 2
        params["scale"] = np.full(NUM_FRAMES, SIZE / 4, np.float32)
        np.savez(clip / "params.npz", **params)
        split = name.split("_")[0]
        entries.append({"name": name, "split": split, "frames": NUM_FRAMES, "person": i})
    (folder / "manifest.json").write_text(json.dumps({"size": SIZE, "fps": 25, "clips": entries}))
    return folder
