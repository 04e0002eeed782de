from dataclasses import replace

import pytest

from reenact.errors import UserError
from reenact.evaluation.clips import ClipsConfig, SyntheticClips, content_sha256, prepare_clips


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> ClipsConfig:
    config = ClipsConfig(
        folder=tmp_path_factory.mktemp("clips"),
        num_clips=2,
        synthetic=SyntheticClips(frames=2, cross=1, num_workers=1),
    )
    prepare_clips(config, 32)
    return config


def test_clips_with_the_same_settings_are_used_again(config):
    assert len(prepare_clips(config, 32)) == 2
    # Fewer clips than there are, and another number of workers, change nothing.
    changed = replace(config, num_clips=1, synthetic=replace(config.synthetic, num_workers=2))
    assert len(prepare_clips(replace(config, synthetic=changed.synthetic), None)) == 2


@pytest.mark.parametrize(("name", "value"), [("frames", 3), ("cross", 2), ("seed", 1)])
def test_clips_with_other_settings_are_noticed(config, name, value):
    other = replace(config, synthetic=replace(config.synthetic, **{name: value}))
    with pytest.raises(UserError, match=f"test_000000 was generated with .*{name} {value}: set"):
        prepare_clips(other, 32)


def test_clips_drawn_anew_have_another_content(config):
    clips = prepare_clips(config, 32)
    before = content_sha256(clips)
    assert content_sha256(prepare_clips(config, 32)) == before
    path = config.folder / "test_000001" / "frames.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    # Only the first frame of a clip is read, so change that one.
    assert content_sha256(clips) == before
    path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    assert content_sha256(clips) != before
    path.write_bytes(content)
