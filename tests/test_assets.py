from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reenact import assets
from reenact.errors import UserError


@pytest.fixture
def assets_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assets, "ASSETS_DIR", tmp_path)
    return tmp_path


def test_shipped_head_model_is_found() -> None:
    assert assets.asset_path("head_model.npz").stat().st_size > 0
    assert "names" not in assets.load_tensors("head_model.npz")


def test_missing_asset_says_what_to_do(assets_dir: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.npz: a shipped asset is missing, install"):
        assets.asset_path("nothing.npz")


def test_tensors_keep_values_and_dtypes(assets_dir: Path) -> None:
    half = torch.tensor([0.5, -2.0], dtype=torch.float16)
    save_file({"half": half}, assets_dir / "a.safetensors")
    np.savez(assets_dir / "b.npz", ints=np.arange(3, dtype=np.int32), names=np.array(["x"]))
    loaded = assets.load_tensors("a.safetensors")
    assert loaded["half"].dtype == torch.float16
    assert torch.equal(loaded["half"], half)
    loaded = assets.load_tensors("b.npz")
    assert list(loaded) == ["ints"]
    assert torch.equal(loaded["ints"], torch.arange(3, dtype=torch.int32))


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz"])
def test_damaged_asset_is_a_user_error(assets_dir: Path, name: str) -> None:
    (assets_dir / name).write_bytes(b"\x05\0\0\0\0\0\0\0{nope")
    with pytest.raises(UserError, match="damaged"):
        assets.load_tensors(name)
