"""Tar shards of clips: the layout of a clip's members.

A clip is one npz followed by its frames, without anything in between: `<name>.npz`,
`<name>.000000.jpg`, `<name>.000001.jpg` ... (for WebDataset one sample). Offsets follow from the
sizes alone.
"""

from __future__ import annotations

from collections.abc import Sequence

BLOCK = 512
"""Tar's unit: a member is one header block and its data, filled up to whole blocks."""


def padded(size: int) -> int:
    """`size` filled up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def member_offsets(start: int, sizes: Sequence[int]) -> list[int]:
    """Where the data of members of `sizes` bytes begin, the first header being at `start`."""
    offsets = []
    for size in sizes:
        offsets.append(start + BLOCK)
        start += BLOCK + padded(size)
    return offsets
