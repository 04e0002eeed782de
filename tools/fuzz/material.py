"""Material of the cases: a face, a few frames of it, tiny weights, and damage to bytes."""

from __future__ import annotations

import functools
import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args, get_type_hints

import av
import numpy as np
import torch
from PIL import Image

from diffae import DiffAE, DiffAEConfig
from reenact.assets import asset_path
from reenact.inference.inputs import open_target
from reenact.inference.motion_file import save_motion
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.clip import MediaClip
from reenact.models.checkpoint import save_reenactor
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe

NUM_FRAMES = 4
SHAPES: tuple[tuple[str, tuple[int, ...]], ...] = (
    *(("identity", (80,)), ("expression", (52,)), ("rotation", (3,)), ("translation", (2,))),
    *(("gaze", (2,)), ("scale", ())),
)
"""The face parameters of a frame."""
COMPOSITIONS: tuple[str, ...] = get_args(get_type_hints(InferRun)["compose"])


@functools.cache
def face() -> Image.Image:
    """The demo's source photo, small enough to be fast."""
    with Image.open(asset_path("demo_source.png")) as picture:
        return picture.convert("RGB").resize((160, 160))


@functools.cache
def frames() -> tuple[np.ndarray, ...]:
    """The first frames of the demo's target, (128, 128, 3) uint8."""
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        decoded = (frame.to_ndarray(format="rgb24") for frame in file.decode(video=0))
        first = [next(decoded) for _ in range(NUM_FRAMES)]
    return tuple(np.asarray(Image.fromarray(f).resize((128, 128))) for f in first)


def tiny_config() -> DiffAEConfig:
    """A DiffAE of 32 pixels that is as small as one can be."""
    return DiffAEConfig(
        image_size=32,
        base_channels=32,
        channel_mults=(1, 1),
        encoder_channel_mults=(1, 1),
        attention_resolutions=(),
        num_res_blocks=1,
        z_channels=32,
        time_channels=32,
    )


@functools.cache
def tiny_weights() -> bytes:
    """A reenactor of 32 pixels with random weights, as a .safetensors file."""
    torch.manual_seed(0)
    config = tiny_config()
    diffae = DiffAE(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.safetensors"
        encoder = ReenactmentEncoder(DiffAE(config).encoder)
        save_reenactor(path, diffae, encoder, recipe=Recipe(num_steps=2, encode_steps=2))
        return path.read_bytes()


@functools.cache
def motion() -> bytes:
    """The motion file of the frames."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights, target = write_weights(folder / "tiny.safetensors"), write_clip(folder / "a.mp4")
        reenactor = Reenactor.load(weights, device="cpu")
        clip = open_target(target)
        assert isinstance(clip, MediaClip)
        save_motion(reenactor.track(clip, where="target"), folder / "a.motion.safetensors")
        return (folder / "a.motion.safetensors").read_bytes()


def write_clips(folder: Path) -> Path:
    """Two clips of random pictures of 16 pixels, as the generator of synthetic people stores them.

    A person looks forward in all frames. Each clip has the cross-reenactment of one frame.
    """
    rng, names = np.random.default_rng(0), ("test_000000", "test_000001")
    for i, name in enumerate(names):
        clip = folder / name
        clip.mkdir(parents=True)
        frames = rng.integers(0, 256, (NUM_FRAMES, 16, 16, 3), dtype=np.uint8)
        np.save(clip / "frames.npy", frames)
        np.save(clip / "masks.npy", frames[..., 0])
        np.save(clip / "cross_frames.npy", frames[:1])
        cross = [{"source_frame": 0, "target_clip": names[1 - i], "target_frame": 1}]
        (clip / "cross.json").write_text(json.dumps(cross))
        params: dict[str, Any] = {n: np.zeros((NUM_FRAMES, *s), np.float32) for n, s in SHAPES}
        params["scale"] += 4
        np.savez(clip / "params.npz", **params)
    clips = [{"name": n, "split": "test", "frames": NUM_FRAMES, "person": n[-1]} for n in names]
    (folder / "manifest.json").write_text(json.dumps({"size": 16, "fps": 25, "clips": clips}))
    return folder


def write_photo(path: Path) -> Path:
    face().save(path)
    return path


def write_clip(path: Path) -> Path:
    """A plain H.264 video of the frames."""
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        for frame in frames():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def write_weights(path: Path) -> Path:
    path.write_bytes(tiny_weights())
    return path


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """The bytes cut off, overwritten in places, shifted, or replaced altogether."""
    if not data:
        return data
    match int(rng.integers(5)):
        case 0:
            return data[: int(rng.integers(len(data)))]
        case 1:
            noisy = np.frombuffer(data, np.uint8).copy()
            places = rng.integers(len(noisy), size=int(rng.integers(1, 50)))
            noisy[places] = rng.integers(256, size=len(places))
            return noisy.tobytes()
        case 2:
            at, length = int(rng.integers(len(data))), int(rng.integers(1, 200))
            return data[:at] + rng.bytes(length) + data[at + length :]
        case 3:
            at = int(rng.integers(len(data)))
            return data[:at] + data[at + int(rng.integers(1, 100)) :]
        case _:
            return rng.bytes(int(rng.integers(1, 2000)))


def inference(folder: Path, source: Path, target: Path, output: Path) -> tuple[str, ...]:
    """The words of a run with tiny weights, as fast as it gets."""
    weights = write_weights(folder / "tiny.safetensors")
    return (
        *("infer", str(source), str(target), "--output", str(output), "--device", "cpu"),
        *(f"--set=weights={weights}", "--set=output_size=32", "--precision", "fp32"),
    )
