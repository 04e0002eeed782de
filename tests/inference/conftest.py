from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffae import DiffAE
from reenact.face.head_model import HeadModel
from reenact.face.open.stack import OpenFaceStack, TrackResult
from reenact.face.params import FaceParams
from reenact.face.stack import Which
from reenact.models.checkpoint import load_reenactor, save_reenactor
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe, ReenactorWeights
from tools.fuzz.material import tiny_config

SIZE = 32


def disk_frame(x: float, y: float, radius: float, *, width: int = 96, height: int = 80):
    """A 'face' for the fake face stack: a bright disk on a dark, textured ground."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    frame = np.stack([columns, rows, columns + rows], -1) / (width + height) * 60
    frame[np.hypot(columns - x, rows - y) < radius] = (230, 190, 160)
    return frame.astype(np.uint8)


class FakeFaceStack(OpenFaceStack):
    """Takes the bright disk of a frame for a face; everything else is the real thing."""

    def __init__(self) -> None:
        self.head_model = HeadModel()
        self.device = torch.device("cpu")

    def track_image(self, frame: np.ndarray, which: Which = "largest") -> TrackResult:
        return self.track_video([frame], 25.0)

    def track_video(
        self,
        frames: Iterable[np.ndarray],
        fps: float,
        which: Which = "largest",
        smoothing: float = 1.0,
    ) -> TrackResult:
        params, found = [], []
        for frame in frames:
            rows, columns = np.nonzero(frame[..., 0] > 140)
            found.append(len(rows) > 40)
            face = FaceParams.neutral()
            if found[-1]:
                face.translation[0] = torch.tensor([columns.mean() + 0.5, rows.mean() + 0.5])
                face.scale[:] = (len(rows) / np.pi) ** 0.5
                face.expression[0, 0] = (columns.mean() % 8) / 8
            params.append(face)
        return self._result(FaceParams.cat(params), np.array(found))

    def landmark_map(self, params: FaceParams, size: int) -> torch.Tensor:
        ticks = torch.arange(size) + 0.5
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        points = self.head_model.landmarks(params)[:, ::4, :, None, None]
        near = torch.hypot(points[:, :, 0] - x, points[:, :, 1] - y).amin(dim=1, keepdim=True)
        return (1 - near).clamp(-1, 1).expand(-1, 3, -1, -1)


@pytest.fixture(scope="session")
def weights_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a tiny model in which every input has an effect."""
    torch.manual_seed(5)
    config = tiny_config()
    diffae = DiffAE(config)
    encoder = ReenactmentEncoder(DiffAE(config).encoder)
    with torch.no_grad():
        for net in (diffae, encoder):
            for weight in net.parameters():
                weight.add_(0.05 * torch.randn_like(weight))
        encoder.zero_conv.weight.copy_(torch.eye(3)[:, :, None, None])
        encoder.encoder.out[-2].weight.mul_(20)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_reenactor(path, diffae, encoder, recipe=Recipe(num_steps=2, encode_steps=2))
    return path


@pytest.fixture
def weights(weights_path: Path) -> ReenactorWeights:
    return load_reenactor(weights_path)


@pytest.fixture(scope="session")
def fake_face() -> FakeFaceStack:
    return FakeFaceStack()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(disk_frame(50, 40, 17)).save(path)
    return path


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video in which the disk walks to the right.

    `missing` frames show no disk. times: seconds of the frames, else i / fps.
    """
    import av

    def make(
        num_frames: int = 9,
        fps: Fraction = Fraction(30000, 1001),
        missing: Iterable[int] = (),
        audio: bool = False,
        name: str = "clip.mp4",
        times: list[Fraction] | None = None,
    ) -> Path:
        path = tmp_path / name
        missing = set(missing)
        with av.open(str(path), "w") as file:
            video = file.add_stream("libx264", rate=fps)
            video.width, video.height, video.pix_fmt = 96, 80, "yuv420p"
            video.codec_context.time_base = Fraction(1, 90_000)
            sound = file.add_stream("aac", rate=44100) if audio else None
            for i in range(num_frames):
                frame = disk_frame(35 + 2 * i, 40, 0 if i in missing else 16)
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts = round(90_000 * (i / fps if times is None else times[i]))
                picture.time_base = Fraction(1, 90_000)
                file.mux(video.encode(picture))
            file.mux(video.encode(None))
            if sound is not None:
                samples = int(44100 * num_frames / fps)
                tone = 0.3 * np.sin(np.arange(samples) * 2 * np.pi * 440 / 44100)
                frame = av.AudioFrame.from_ndarray(
                    tone.astype(np.float32)[None], format="fltp", layout="mono"
                )
                frame.rate = 44100
                file.mux(sound.encode(frame))
                file.mux(sound.encode(None))
        return path

    return make
