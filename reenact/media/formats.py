"""The kinds of files that can be written, by the end of the name. Nothing heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from reenact.errors import UserError
from reenact.media.provenance import add_note_to_gif, add_note_to_webp


@dataclass(frozen=True, kw_only=True)
class SoundFormat:
    """How a file holds sound. Names are FFmpeg's.

    copied: codecs that are taken over as they are, because the file can hold them and players play
        them. Everything else is encoded.
    codec, rates: the encoder, and the sample rates it takes.
    bits_per_channel: bit rate of the encoder.
    """

    copied: frozenset[str]
    codec: str
    rates: tuple[int, ...]
    bits_per_channel: int = 96_000


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """How a file holds pictures and sound. Names are FFmpeg's.

    options: of the encoder, for a quality `crf` from 0 (best) to 51.
    pixels: what the encoder takes.
    clock: ticks a second of the file's clock; None = what the frames need.
    shortest: seconds. Frames that appear sooner after the last one are left out.
    sound: None = the file holds no sound.
    with_alpha: how frames with transparency are held; None = they cannot be.
    add_note: puts the note of `provenance` into the file; None = the tags of a video do.
    """

    container: str
    container_options: Mapping[str, str] = field(default_factory=dict)
    codec: str
    options: Callable[[int], dict[str, str]]
    pixels: Literal["yuv420p", "yuva420p", "yuva444p10le", "bgra", "pal8"]
    clock: int | None = None
    shortest: Fraction = Fraction(0)
    sound: SoundFormat | None = None
    add_note: Callable[[Path], None] | None = None
    with_alpha: VideoFormat | None = None


AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
MOV_CODECS = frozenset({"aac", "ac3", "alac", "eac3", "mp3", "mp3float"})

MP4 = VideoFormat(
    container="mp4",
    container_options={"movflags": "+faststart"},
    codec="libx264",
    options=lambda crf: {"crf": str(crf)},
    pixels="yuv420p",
    sound=SoundFormat(copied=MOV_CODECS | {"flac", "opus"}, codec="aac", rates=AAC_RATES),
)
MOV = replace(
    MP4,
    container="mov",
    sound=SoundFormat(copied=MOV_CODECS, codec="aac", rates=AAC_RATES),
)
WEBM = VideoFormat(
    container="webm",
    codec="libvpx-vp9",
    options=lambda crf: {
        "crf": str(round(crf * 63 / 51)),
        "b": "0",
        "cpu-used": "4",
        "row-mt": "1",
    },
    pixels="yuv420p",
    clock=1000,
    sound=SoundFormat(copied=frozenset({"opus", "vorbis"}), codec="libopus", rates=(48000,)),
)
GIF = VideoFormat(
    container="gif",
    codec="gif",
    options=lambda crf: {},
    pixels="pal8",
    clock=100,
    shortest=Fraction(2, 100),  # players show shorter ones for a tenth of a second
    add_note=add_note_to_gif,
)
WEBP = VideoFormat(
    container="webp",
    container_options={"loop": "0"},  # for ever
    codec="libwebp_anim",
    options=lambda crf: {"lossless": str(int(crf == 0)), "quality": str(round(100 - crf * 0.6))},
    pixels="bgra",
    clock=1000,
    add_note=add_note_to_webp,
)

WEBM = replace(WEBM, with_alpha=replace(WEBM, pixels="yuva420p"))
MOV = replace(
    MOV,
    with_alpha=replace(
        MOV,
        codec="prores_ks",  # ProRes 4444; its quality does not depend on crf
        options=lambda crf: {"profile": "4444", "vendor": "apl0"},
        pixels="yuva444p10le",
    ),
)
WEBP = replace(WEBP, with_alpha=WEBP)

FORMATS = {".mp4": MP4, ".m4v": MP4, ".mov": MOV, ".webm": WEBM, ".gif": GIF, ".webp": WEBP}

WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""The kinds of pictures that can be written."""

ALPHA_SUFFIXES = (".png", ".webp", ".tif", ".tiff")
"""Those of them that hold transparency."""

NUMBER = re.compile(r"%0?\d*d")


def is_sequence(path: Path) -> bool:
    """Whether the name stands for many pictures: frames/%06d.png."""
    return len(NUMBER.findall(path.name)) == 1 and path.name.count("%") == 1


def holds_alpha(path: Path) -> bool:
    """Whether this kind of file holds transparency, a picture as well as a video."""
    suffix = path.suffix.lower()
    is_video = suffix in FORMATS and FORMATS[suffix].with_alpha is not None
    return suffix in ALPHA_SUFFIXES or is_video


def check_written_kind(path: Path, *, is_picture: bool | None = None) -> None:
    """Raises UserError if the name is not one of a kind of file that can be written.

    is_picture: asks for a picture or for a video; None takes both.
    """
    endings: list[str] = []
    if is_picture is not True:
        endings += FORMATS
    if is_picture is not False:
        endings += [ending for ending in WRITABLE_SUFFIXES if ending not in endings]
    if path.suffix.lower() in endings or (is_picture is not True and is_sequence(path)):
        return
    numbered = "" if is_picture else ", or in %06d.png for numbered pictures"
    raise UserError(
        f"{path}: cannot write this kind of file, end it in {', '.join(endings)}{numbered}"
    )
