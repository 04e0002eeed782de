"""Small clip folders for tests of data and training."""

import json
from pathlib import Path

import numpy as np


def write_clips(
    root: Path, *, size: int = 16, num_clips: int = 3, num_frames: int = 4, num_val: int = 1
) -> Path:
    """Clips in the format of the synthetic data, in which every pixel value tells clip and frame.

    Frame n of clip c is 20 c + 2 n everywhere, and its mask is 10 c + n. Cross frame k is 200 + k
    and has the pose of frame k + 1 of the last clip of the split.
    """
    rng = np.random.default_rng(0)
    splits = ["train"] * num_clips + ["val"] * num_val
    records = [
        {"name": f"{split}_{c:06d}", "split": split, "frames": num_frames, "person": c}
        for c, split in enumerate(splits)
    ]
    ones = np.ones((size, size, 3), dtype=np.uint8)
    for c, record in enumerate(records):
        folder = root / record["name"]
        folder.mkdir(parents=True)
        frames = np.stack([ones * (20 * c + 2 * n) for n in range(num_frames)])
        np.save(folder / "frames.npy", frames)
        np.save(folder / "masks.npy", frames[..., 0] // 2)
        np.save(folder / "cross_frames.npy", np.stack([ones * (200 + k) for k in range(2)]))
        np.save(folder / "cross_masks.npy", np.stack([ones[..., 0] * 255] * 2))
        last = [r["name"] for r in records if r["split"] == record["split"]][-1]
        cross = [{"source_frame": k, "target_clip": last, "target_frame": k + 1} for k in range(2)]
        (folder / "cross.json").write_text(json.dumps(cross))
        np.savez(
            folder / "params.npz",
            identity=np.full((num_frames, 80), 0.1 * c),
            expression=rng.random((num_frames, 52)) * 0.3,
            rotation=rng.normal(size=(num_frames, 3)) * 0.2,
            translation=np.full((num_frames, 2), 0.5 * size) + rng.normal(size=(num_frames, 2)),
            scale=np.full(num_frames, 0.3 * size) + rng.random(num_frames),
            gaze=rng.normal(size=(num_frames, 2)) * 0.1,
        )
    manifest = {"size": size, "fps": 25, "clips": records}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root
