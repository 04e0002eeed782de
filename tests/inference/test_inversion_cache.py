"""The same photo is inverted once; whatever changes the result asks for a new inversion."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffae import DiffAE
from reenact.inference import inversion_cache
from reenact.inference.config import ReenactorConfig
from reenact.inference.inversion_cache import cache_folder
from reenact.inference.reenactor import Reenactor
from tests.inference.test_reenactor import faces

STEPS = 20


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of steps of the inversions that were computed."""
    made: list[int] = []
    invert = DiffAE.encode_stochastic

    def counted(self: DiffAE, x_0: Tensor, z_sem: Tensor, num_steps: int, **options: Any) -> Tensor:
        made.append(num_steps)
        return invert(self, x_0, z_sem, num_steps, **options)

    monkeypatch.setattr(DiffAE, "encode_stochastic", counted)
    return made


@pytest.fixture
def invert(weights, fake_face, tmp_path: Path):
    """Function: the x_T of a picture by a fresh reenactor."""

    def x_T(image: Tensor, *, steps: int = STEPS, cache: str = str(tmp_path)) -> Tensor:
        config = ReenactorConfig(precision="fp32", encode_steps=steps, cache=cache)
        return Reenactor(weights, fake_face, config).set_source(image, faces(1)).x_T

    return x_T


def picture(seed: int) -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_second_run_reads_the_first_ones_result(invert, calls):
    first = invert(picture(0))
    assert torch.equal(invert(picture(0)), first)
    assert calls == [STEPS]


def test_other_pictures_steps_and_weights_are_inverted_anew(invert, calls, weights):
    invert(picture(0))
    invert(picture(1))
    invert(picture(0), steps=25)
    with torch.no_grad():
        next(weights.diffae.unet.parameters()).add_(1e-3)
    invert(picture(0))
    assert calls == [STEPS, STEPS, 25, STEPS]


def test_few_steps_and_the_setting_off_write_nothing(invert, calls, tmp_path: Path):
    for _ in range(2):
        invert(picture(0), steps=10)
        invert(picture(0), cache="off")
    assert calls == [10, STEPS, 10, STEPS]
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_damaged_file_is_computed_again(invert, calls, tmp_path: Path):
    first = invert(picture(0))
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    assert torch.equal(invert(picture(0)), first)
    assert torch.equal(invert(picture(0)), first)
    assert calls == [STEPS, STEPS]


def test_a_new_folder_is_private(invert, tmp_path: Path):
    invert(picture(0), cache=str(tmp_path / "new" / "inversions"))
    assert stat.S_IMODE((tmp_path / "new" / "inversions").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_one_warning(invert, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    invert(picture(0), cache=str(tmp_path / "file" / "folder"))
    assert capsys.readouterr().err.count("warning: ") == 1


def test_the_files_used_longest_ago_go_first(
    invert, calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for seed in range(2):
        invert(picture(seed))
    size = next(tmp_path.glob("*.safetensors")).stat().st_size
    monkeypatch.setattr(inversion_cache, "MAX_BYTES", 2 * size)
    for path in tmp_path.glob("*.safetensors"):
        os.utime(path, (0, 0))
    invert(picture(0))
    invert(picture(2))
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    invert(picture(0))
    assert calls == [STEPS] * 3
    invert(picture(1))
    assert calls == [STEPS] * 4


def test_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("auto") == tmp_path / "diffusionact" / "inversions"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder("auto") == Path.home() / ".cache" / "diffusionact" / "inversions"
