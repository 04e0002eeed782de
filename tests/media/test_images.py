"""Pictures on disk: orientation, colour, transparency, size, and files that are refused."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reenact.errors import UserError
from reenact.media import images
from reenact.media.images import (
    frame_from_image,
    image_from_frame,
    is_image_path,
    read_frame,
    write_frame,
)

# Four colours tell every turn and mirror apart.
CORNERS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 0], [0, 255, 255], [10, 20, 30]]],
    np.uint8,
)
# What the stored pixels become under each EXIF orientation (the standard's table).
EXIF_TURNS = {
    1: lambda f: f,
    2: lambda f: f[:, ::-1],
    3: lambda f: f[::-1, ::-1],
    4: lambda f: f[::-1],
    5: lambda f: f.swapaxes(0, 1),
    6: lambda f: np.rot90(f, -1),
    7: lambda f: f[::-1, ::-1].swapaxes(0, 1),
    8: lambda f: np.rot90(f),
}


@pytest.mark.parametrize("orientation", EXIF_TURNS)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=exif)
    frame = read_frame(tmp_path / "a.png")
    np.testing.assert_array_equal(frame, EXIF_TURNS[orientation](CORNERS))
    assert frame.flags.c_contiguous


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path: Path, mode: str) -> None:
    grey, alpha = np.full((2, 2), 100, np.uint8), np.array([[0, 255], [51, 51]], np.uint8)
    picture = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]).convert(mode)
    picture.save(tmp_path / "a.png")
    frame = read_frame(tmp_path / "a.png")
    # 51/255 = 1/5 of 100 and 4/5 of white
    expected = np.array([[255, 100], [224, 224]])
    assert frame.shape == (2, 2, 3)
    assert np.abs(frame.astype(int) - expected[:, :, None]).max() <= 1


@pytest.mark.parametrize("colours", ["P", "RGB", "L"])
def test_a_transparent_colour_becomes_white(tmp_path: Path, colours: str) -> None:
    picture = Image.new(colours, (2, 1), 0)
    if colours == "P":
        picture.putpalette([9, 9, 9, 200, 100, 50])
    pixel = {"P": 1, "RGB": (200, 100, 50), "L": 77}[colours]
    picture.putpixel((1, 0), pixel)
    picture.save(tmp_path / "a.png", transparency=(0, 0, 0) if colours == "RGB" else 0)
    frame = read_frame(tmp_path / "a.png")
    assert frame[0].tolist() == [
        [255, 255, 255],
        [77, 77, 77] if colours == "L" else [200, 100, 50],
    ]


def test_grey_palette_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 77).save(tmp_path / "grey.jpg")
    np.testing.assert_array_equal(read_frame(tmp_path / "grey.jpg"), np.full((2, 3, 3), 77))
    Image.new("1", (3, 2), 1).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_frame(tmp_path / "bits.png"), np.full((2, 3, 3), 255))
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red = read_frame(tmp_path / "red.jpg").astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(
    ("suffix", "dtype"), [("png", np.uint16), ("tif", np.uint16), ("tif", np.int32)]
)
def test_16_bit_grey_is_scaled(tmp_path: Path, suffix: str, dtype: type) -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], dtype)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    assert read_frame(tmp_path / f"a.{suffix}")[0, :, 1].tolist() == [0, 1, 128, 255]


def test_float_grey_reaches_to_one_or_to_255(tmp_path: Path) -> None:
    for scale in (1.0, 255.0):
        Image.fromarray(np.array([[0.0, 0.2, 1.0]], np.float32) * scale).save(tmp_path / "a.tif")
        assert read_frame(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 51, 255]


def test_floats_without_a_value_do_not_darken_the_others(tmp_path: Path) -> None:
    values = np.array([[0.2, np.inf, -np.inf, np.nan, 1.0, 1.5]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read_frame(tmp_path / "a.tif")[0, :, 0].tolist() == [51, 255, 0, 0, 255, 255]
    Image.fromarray(np.full((2, 2), np.inf, np.float32)).save(tmp_path / "b.tif")
    assert (read_frame(tmp_path / "b.tif") == 255).all()


def test_a_damaged_exif_block_is_passed_over_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    for damage in (
        b"Exif\0\0MM\0*\0\0\0\x08\0\x20",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0??",
    ):
        Image.fromarray(CORNERS.repeat(8, 0).repeat(8, 1)).save(tmp_path / "a.jpg", exif=damage)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_frame(tmp_path / "a.jpg").shape == (16, 24, 3)
    assert capsys.readouterr().err == ""


def test_transparency_is_warned_of_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", (4, 4), (9, 9, 9, 254)).save(path)
    read_frame(path)
    assert capsys.readouterr().err == f"warning: {path}: its transparent parts are shown as white\n"
    read_frame(path, quiet=True)
    Image.new("RGBA", (4, 4), (9, 9, 9, 255)).save(path)
    read_frame(path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
def test_of_an_animation_the_first_picture_is_read(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [Image.new("RGB", (8, 8), (level, level, level)) for level in (50, 200)]
    path = tmp_path / f"a.{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True)
    assert (read_frame(path) == 50).all()
    line = f"warning: {path}: is an animation, only its first picture is read\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "RGBA", "P", "I;16", "transparent"])
def test_large_pictures_are_read_reduced(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.tile(np.linspace(0, 255, 120).astype(np.uint8)[:, None, None], (1, 96, 3))
    picture = Image.fromarray(ramp)
    if kind == "I;16":
        picture = Image.fromarray(ramp[..., 0].astype(np.uint16) * 257)
    elif kind in ("RGBA", "P"):
        picture = picture.convert(kind)
    path = tmp_path / (f"a.{kind}" if kind in ("jpg", "tif") else "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    options = {"transparency": (1, 2, 3)} if kind == "transparent" else {}
    picture.save(path, exif=exif, **options)
    whole = read_frame(path)
    assert whole.shape == (96, 120, 3)
    monkeypatch.setattr(images, "MAX_FRAME_PIXELS", 120 * 96 // 4)
    capsys.readouterr()
    frame = read_frame(path)
    assert frame.shape == (48, 60, 3)
    assert np.abs(frame.astype(int) - whole.reshape(48, 2, 60, 2, 3).mean((1, 3))).max() <= 3
    assert f"warning: {path}: is read as 60x48, 1/2 of its size" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tif"])
def test_lossless_round_trip(tmp_path: Path, suffix: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    write_frame(tmp_path / f"a.{suffix}", frame)
    np.testing.assert_array_equal(read_frame(str(tmp_path / f"a.{suffix}")), frame)
    assert os.listdir(tmp_path) == [f"a.{suffix}"]


def test_jpeg_round_trip_keeps_colour(tmp_path: Path) -> None:
    frame = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    write_frame(tmp_path / "a.JPG", frame)
    assert np.abs(read_frame(tmp_path / "a.JPG").astype(int) - frame).max() <= 2


def test_frames_and_images_are_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8)
    frames = np.stack([levels, levels[::-1], np.roll(levels, 7)], -1).reshape(2, 8, 16, 3)
    image = image_from_frame(frames)
    assert image.shape == (2, 3, 8, 16)
    assert image.dtype == torch.float32
    assert (image.min(), image.max()) == (-1, 1)
    np.testing.assert_array_equal(frame_from_image(image), frames)
    np.testing.assert_array_equal(
        frame_from_image(image_from_frame(frames[0, ::-1])), frames[:1, ::-1]
    )
    # out of range is clipped, half levels are rounded
    assert frame_from_image(
        torch.tensor([-3.0, 3.0, 0.6 / 127.5]).reshape(1, 3, 1, 1)
    ).tolist() == [[[[0, 255, 128]]]]


def test_suffixes_tell_pictures_from_videos() -> None:
    assert is_image_path("a/b.JPeG")
    assert is_image_path(Path("a.png"))
    assert not any(is_image_path(name) for name in ("a.mp4", "a.gif", "png", ""))


def _damaged(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    if name == "folder.png":
        path.mkdir()
    elif name == "empty.png":
        path.touch()
    elif name == "text.png":
        path.write_text("hello")
    elif name.startswith("cut"):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        write_frame(path, noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "no such file"),
        ("folder.png", "is a folder"),
        ("empty.png", "is empty"),
        ("text.png", "not a picture"),
        ("cut.png", "truncated"),
        ("cut.jpg", "truncated"),
        ("cut.webp", "truncated"),
        ("x" * 300 + ".png", "name too long"),
        ("nul\0.png", "no such file"),
    ],
)
def test_unreadable_pictures_are_one_line_with_the_path(
    tmp_path: Path, name: str, reason: str
) -> None:
    path = _damaged(tmp_path, name)
    with pytest.raises(UserError, match=reason) as caught:
        read_frame(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_photos_of_phones_need_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UserError, match=r"a.heic: .* \(pip install pillow-heif\)"):
        read_frame(tmp_path / "a.heic")


def test_photos_of_phones_are_read(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    wide = np.repeat(np.repeat(CORNERS, 32, 0), 32, 1)
    picture = pillow_heif.from_bytes("RGB", (96, 64), wide.tobytes())
    picture.save(tmp_path / "a.heic", quality=100)
    assert is_image_path("a.HEIC")
    assert np.abs(read_frame(tmp_path / "a.heic")[::32, ::32].astype(int) - CORNERS).mean() < 12


def test_huge_pictures_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frame(tmp_path / "a.png", np.zeros((11, 10, 3), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 110)
    read_frame(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 109)
    with pytest.raises(UserError, match="10x11 pixels are too many"):
        read_frame(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no/a.png", "does not exist"),
        ("a.xyz", "end it in"),
        ("a", "end it in"),
        ("d.png", "folder"),
    ],
)
def test_unwritable_paths_are_user_errors(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "d.png").mkdir()
    with pytest.raises(UserError, match=reason):
        write_frame(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    assert os.listdir(tmp_path) == ["d.png"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = np.full((2, 2, 3), 7, np.uint8)
    write_frame(tmp_path / "a.png", old)

    def full_disk(self: Image.Image, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(UserError, match="no space left"):
        write_frame(tmp_path / "a.png", old + 1)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png"), old)
    assert os.listdir(tmp_path) == ["a.png"]


def test_samples_are_read(shared: Path) -> None:
    assert read_frame(shared / "samples" / "photo_grey.jpg").shape == (500, 375, 3)
    assert read_frame(shared / "samples" / "painting_tall.jpg").shape == (1280, 720, 3)
