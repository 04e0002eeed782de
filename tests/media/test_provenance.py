"""A result says that it is synthetic, in the words of its format."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from reenact.media.formats import WRITABLE_SUFFIXES
from reenact.media.images import read_frame, write_frame
from reenact.media.provenance import NOTE, SOURCE_TYPE, TOOL
from reenact.media.video_writer import VideoWriter
from reenact.version import __version__

FRAME = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def test_the_note_names_tool_and_version() -> None:
    assert NOTE.startswith("Synthetic")
    assert f"DiffusionAct, open {__version__}" in NOTE


@pytest.mark.parametrize("suffix", [s for s in WRITABLE_SUFFIXES if s != ".bmp"])
def test_pictures(tmp_path: Path, suffix: str) -> None:
    path, plain = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_frame(path, FRAME, synthetic=True)
    write_frame(plain, FRAME)
    np.testing.assert_array_equal(read_frame(path), read_frame(plain))
    with Image.open(path) as picture:
        assert picture.getexif()[0x0131] == TOOL
        assert picture.getexif()[0x010E] == NOTE
        if suffix == ".png":
            assert picture.info["Software"] == TOOL
            assert picture.info["Comment"] == NOTE
    if suffix not in (".tif", ".tiff"):
        assert SOURCE_TYPE.encode() in path.read_bytes()
    assert b"ynthetic" not in plain.read_bytes()


def test_bmp_has_no_place_for_it(tmp_path: Path) -> None:
    write_frame(tmp_path / "a.bmp", FRAME, synthetic=True)
    np.testing.assert_array_equal(read_frame(tmp_path / "a.bmp"), FRAME)


@pytest.mark.parametrize("synthetic", [True, False])
def test_videos(tmp_path: Path, synthetic: bool) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, width=24, height=16, fps=Fraction(25), synthetic=synthetic) as writer:
        writer.write(FRAME)
    with av.open(str(path)) as container:
        assert container.metadata.get("comment") == (NOTE if synthetic else None)
        assert container.metadata.get("description") == (NOTE if synthetic else None)
