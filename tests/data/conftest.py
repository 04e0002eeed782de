from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clip_folders import write_clips


@pytest.fixture
def clip_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a clip folder; keyword arguments of `write_clips`."""
    return lambda **kwargs: write_clips(tmp_path / "clips", **kwargs)
