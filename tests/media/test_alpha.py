"""Transparency in written pictures and videos, read back with other means than the project's."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from reenact.media.formats import FORMATS, holds_alpha
from reenact.media.images import read_frame, write_frame
from reenact.media.label import labelled
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

DECODERS = {".webm": "libvpx-vp9", ".mov": "prores"}


def rgba(shift: int) -> np.ndarray:
    """A half transparent red square on nothing."""
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[..., 0] = 200
    frame[8:40, 8 + shift : 40 + shift, 3] = 128
    frame[16:32, 16 + shift : 32 + shift, 3] = 255
    return frame


def decoded(path: Path) -> list[np.ndarray]:
    """Frames (H, W, 4), by the decoder that knows of alpha."""
    codec = av.CodecContext.create(DECODERS[path.suffix], "r")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec.extradata = stream.codec_context.extradata
        packets = [packet for packet in container.demux(stream) if packet.size]
        pictures = [picture for packet in packets for picture in codec.decode(packet)]
        pictures += codec.decode(None)
    return [picture.to_ndarray(format="rgba") for picture in pictures]


@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_videos_keep_transparency(tmp_path, suffix, capsys):
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path, width=64, height=48, fps=Fraction(25), alpha=True) as writer:
        for shift in (0, 4, 8):
            writer.write(rgba(shift))
    frames = decoded(path)
    assert len(frames) == 3
    for shift, frame in zip((0, 4, 8), frames, strict=True):
        inner = np.abs(frame[..., 3].astype(int) - rgba(shift)[..., 3])
        assert inner.mean() < 4
        assert frame[24, 24 + shift, 3] > 250
        assert frame[2, 2, 3] < 5
        assert abs(int(frame[24, 24 + shift, 0]) - 200) < 12
    reader = VideoReader(path)
    assert reader.num_frames == 3
    for shift, frame in zip((0, 4, 8), reader, strict=True):
        assert frame[2, 2].min() > 250, "what is transparent is read as white"
        assert np.abs(frame[24, 24 + shift].astype(int) - (200, 0, 0)).max() < 12
    assert capsys.readouterr().err.count("its transparent parts are shown as white") == 1


def test_animations_and_pictures_keep_transparency(tmp_path):
    path = tmp_path / "a.webp"
    with VideoWriter(path, width=64, height=48, fps=Fraction(25), crf=0, alpha=True) as writer:
        writer.write(rgba(0))
        writer.write(rgba(8))
    with Image.open(path) as picture:
        assert picture.n_frames == 2
        np.testing.assert_array_equal(np.asarray(picture.convert("RGBA"))[..., 3], rgba(0)[..., 3])
    for suffix in (".png", ".tif", ".webp"):
        still = tmp_path / f"b{suffix}"
        write_frame(still, rgba(0))
        kept = read_frame(still, keep_alpha=True)
        np.testing.assert_array_equal(kept[..., 3], rgba(0)[..., 3])
        np.testing.assert_array_equal(kept[24, 24], [200, 0, 0, 255])
        assert read_frame(still, quiet=True).shape == (48, 64, 3)


def test_formats_without_transparency_take_none(tmp_path):
    assert [suffix for suffix in FORMATS if holds_alpha(Path(f"a{suffix}"))] == [
        ".mov",
        ".webm",
        ".webp",
    ]
    with pytest.raises(ValueError, match="no transparency"):
        VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=Fraction(25), alpha=True)
    with pytest.raises(ValueError, match="expected a frame"):
        write_frame(tmp_path / "a.jpg", rgba(0))


def test_the_mark_is_seen_on_a_transparent_ground():
    (frame,) = labelled([np.zeros((120, 200, 4), np.uint8)])
    assert frame[-30:, -100:, 3].max() == 255
    assert frame[:60, :, 3].max() == 0
