"""Fragmented MP4 (CMAF, DASH) whose pictures FFmpeg shows too late.

A picture that is shown before one that is decoded earlier needs a shift: its time of presentation
is its time of decoding plus an offset, and offsets may be negative. FFmpeg then adds the largest
negative offset to all times of presentation of the stream. In files that consist of fragments only,
it does not take the same amount off the times of decoding, so the pictures lag behind the sound.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

# A fragment describes a few seconds in some kilobytes.
MAX_BOX = 16_000_000

# Flags of the boxes `tfhd` and `trun` (ISO/IEC 14496-12): which optional fields are there.
DATA_OFFSET, FIRST_SAMPLE_FLAGS = 0x1, 0x4
DURATION, SIZE, FLAGS, OFFSET = 0x100, 0x200, 0x400, 0x800


def picture_lag(path: Path, track: int) -> int:
    """How many ticks of the track's clock FFmpeg shows the pictures of this track too late."""
    try:
        fragment = _first_fragment(path)
        offsets = [] if fragment is None else list(_offsets(fragment, track))
    except (OSError, struct.error):
        return 0
    return max(0, -min(offsets, default=0))


def _first_fragment(path: Path) -> bytes | None:
    """The content of the first box `moof`, None if pictures or sound come before it."""
    with path.open("rb") as file:
        if file.read(12)[4:8] != b"ftyp":
            return None
        position = 0
        while True:
            file.seek(position)
            head = file.read(16)
            if len(head) < 8:
                return None
            size, kind = struct.unpack_from(">I4s", head)
            start = 8
            if size == 1 and len(head) == 16:
                size, start = struct.unpack_from(">Q", head, 8)[0], 16
            if kind == b"mdat" or size < start:
                return None
            if kind == b"moof":
                file.seek(position + start)
                return file.read(min(size, MAX_BOX) - start)
            position += size


def _offsets(fragment: bytes, track: int) -> Iterator[int]:
    """The offsets of presentation of all samples that the fragment has of the track."""
    for kind, traf in _boxes(fragment):
        if kind != b"traf":
            continue
        parts = list(_boxes(traf))
        if not any(k == b"tfhd" and struct.unpack_from(">I", b, 4) == (track,) for k, b in parts):
            continue
        for name, run in parts:
            if name == b"trun":
                yield from _run_offsets(run)


def _run_offsets(run: bytes) -> Iterator[int]:
    version, flags = run[0], struct.unpack_from(">I", run)[0] & 0xFFFFFF
    if not flags & OFFSET:
        return
    count = struct.unpack_from(">I", run, 4)[0]
    position = 8 + 4 * bool(flags & DATA_OFFSET) + 4 * bool(flags & FIRST_SAMPLE_FLAGS)
    before = 4 * sum(bool(flags & field) for field in (DURATION, SIZE, FLAGS))
    for i in range(min(count, len(run) // 4)):
        place = position + i * (before + 4) + before
        yield struct.unpack_from(">i" if version else ">I", run, place)[0]


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        if size < 8:
            return
        yield kind, content[position + 8 : position + size]
        position += size
