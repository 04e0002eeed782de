from pathlib import Path

import pytest
import torch

from diffae import DiffAE, DiffAEConfig
from reenact.commands.main import run_command
from reenact.commands.weights import FILES, state


def test_missing_files_are_listed_with_page_and_licence(tmp_path: Path, capsys):
    assert run_command("weights", "weights", ["--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for file in FILES:
        assert f"{file.name}: missing" in printed
        assert file.page in printed


def test_a_damaged_and_a_foreign_file_are_named(tmp_path: Path, capsys):
    (tmp_path / "s3fd-619a316812.pth").write_bytes(b"not a network")
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "backbone.pth")
    assert run_command("weights", "weights", ["--folder", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "s3fd: damaged: the sha256 does not begin with 619a316812" in out
    assert "not an iresnet50" in out
    assert "conv1.weight" in out or "bn1" in out
    assert err.startswith("error: s3fd, arcface: not the file")


def test_a_right_file_is_loaded_and_found_ok(tmp_path: Path):
    config = DiffAEConfig(
        image_size=32,
        base_channels=32,
        channel_mults=(1, 1),
        encoder_channel_mults=(1, 1),
        attention_resolutions=(16,),
        num_res_blocks=1,
        z_channels=32,
        time_channels=32,
    )
    model = DiffAE(config)
    tensors = {f"ema_model.{k.removeprefix('unet.')}": v for k, v in model.state_dict().items()}
    torch.save({"state_dict": tensors}, tmp_path / "last.ckpt")
    (diffae,) = (file for file in FILES if file.name == "diffae")
    assert state(diffae, tmp_path) == (tmp_path / "last.ckpt", None)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_check_refuses_a_foreign_file_in_one_line(file, tmp_path: Path):
    path = tmp_path / file.place.replace("**", "x").replace("*", "y")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, path)
    found, problem = state(file, tmp_path)
    assert found == path
    assert problem is not None
    assert "\n" not in problem.strip()
