"""Which files are opened, and what is said of those that are not."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.media.container import DEMUXERS
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, width=64, height=48, fps=Fraction(25)) as writer:
        for level in (20, 90, 160):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    return path


TEXTS = {
    "list.mp4": "ffconcat version 1.0\nfile {name}\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {name}\n",
    "playlist.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'type="static"><Period><BaseURL>{name}</BaseURL></Period></MPD>',
    "picture.svg": "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>",
    "words.txt": "these are words\n" * 100,
}


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_name_other_files_are_refused(tmp_path: Path, clip: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(TEXTS[name].format(name=clip.name))
    with pytest.raises(UserError, match="is not a video that can be read"):
        VideoReader(path)


def test_no_format_opens_other_files() -> None:
    risky = {"concat", "hls", "dash", "image2", "image2pipe", "data", "tee", "sdp", "rtsp", "lavfi"}
    risky |= {"subfile", "tty", "smoothstreaming", "webm_dash_manifest", "ffmetadata", "applehttp"}
    assert not risky & set(DEMUXERS.split(","))


def test_a_damaged_header_is_called_damaged(tmp_path: Path, clip: Path) -> None:
    content = clip.read_bytes()
    for box, reason in [
        (b"moov", "is not a video that can be read"),
        (b"trak", "the file is damaged"),
        (b"avc1", "in a format that cannot be decoded"),
        (b"avcC", "is not a video that can be read"),
    ]:
        path = tmp_path / f"{box.decode()}.mp4"
        path.write_bytes(content.replace(box, b"\x81\x82\x83\x84"))
        with pytest.raises(UserError, match=reason):
            VideoReader(path)


def test_random_damage_is_one_line_or_a_video(tmp_path: Path, clip: Path) -> None:
    content = clip.read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.mp4"
    lines = []
    for _ in range(60):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[random.integers(4, 1200, random.integers(1, 12))] = random.integers(0, 256)
        path.write_bytes(damaged.tobytes())
        try:
            reader = VideoReader(path)
        except UserError as error:
            lines.append(str(error))
        else:
            assert len(list(reader)) <= reader.num_frames
    assert 5 < len(lines) < 55
    assert not [line for line in lines if "has no pictures" in line or "\n" in line]
