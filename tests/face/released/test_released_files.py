import dataclasses
from pathlib import Path

import pytest

from reenact.commands.weights import FILES
from reenact.config import from_dict
from reenact.errors import UserError
from reenact.face.released.files import PLACES, ReleasedFiles, best_checkpoint, locate

CHECKPOINTS = Path("EMOCA/models/EMOCA_v2_lr_mse_20/detail/checkpoints")
BEST = CHECKPOINTS / "deca-epoch=10-val_loss/dataloader_idx_0=3.25521111.ckpt"


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with all files in the published layout."""
    for name in (
        "diffusionact_model.pt",
        "gaze_estimation_model.tar",
        "s3fd-619a316812.pth",
        "2DFAN4-11f355bf06.pth.tar",
        str(BEST),
    ):
        put(tmp_path / "weights" / name)
    return tmp_path / "weights"


def test_published_layout(weights: Path):
    found = locate(ReleasedFiles(folder=weights))
    assert found.diffusionact == weights / "diffusionact_model.pt"
    assert found.emoca == weights / BEST
    assert found.gaze == weights / "gaze_estimation_model.tar"
    assert found.s3fd == weights / "s3fd-619a316812.pth"
    assert found.fan == weights / "2DFAN4-11f355bf06.pth.tar"
    assert found.diffae is None
    put(weights / "last.ckpt")
    assert locate(ReleasedFiles(folder=weights)).diffae == weights / "last.ckpt"


def test_every_file_may_be_elsewhere(weights: Path, tmp_path: Path):
    names = [field.name for field in dataclasses.fields(ReleasedFiles) if field.name != "folder"]
    places = {name: put(tmp_path / "other" / f"{name}.bin") for name in names}
    found = locate(ReleasedFiles(folder=tmp_path / "nowhere", **places))
    assert {name: getattr(found, name) for name in names} == places


def test_settings_come_from_yaml_values(tmp_path: Path):
    assert from_dict(ReleasedFiles, {}).folder == Path("weights")
    files = from_dict(ReleasedFiles, {"folder": "w", "emoca": "e.ckpt"})
    assert (files.folder, files.emoca, files.gaze) == (Path("w"), Path("e.ckpt"), None)


def test_emoca_checkpoint_of_the_smallest_loss_is_chosen(weights: Path):
    folder = weights / CHECKPOINTS
    put(folder / "last.ckpt")
    put(folder / "deca-epoch=02-val_loss/dataloader_idx_0=3.5.ckpt")
    put(folder / "deca-epoch=03-val_loss/dataloader_idx_0=10.1.ckpt")
    put(folder / "deca-epoch=04-val_loss/dataloader_idx_0=1.5.ckpt", "")  # empty: a broken copy
    put(folder / "deca-epoch=00.tmp")
    put(weights / "EMOCA/models/EMOCA_v2_lr_mse_20/coarse/checkpoints/a=0.1.ckpt")
    assert locate(ReleasedFiles(folder=weights)).emoca == weights / BEST
    better = put(folder / "deca-epoch=05-val_loss/dataloader_idx_0=3.2-v1.ckpt")
    assert locate(ReleasedFiles(folder=weights)).emoca == better


def test_emoca_may_be_a_folder(weights: Path, tmp_path: Path):
    only = put(tmp_path / "mine" / "model.ckpt")
    files = ReleasedFiles(folder=weights, emoca=tmp_path / "mine")
    assert locate(files).emoca == only
    put(tmp_path / "mine" / "loss=7.ckpt")
    assert locate(files).emoca == tmp_path / "mine" / "loss=7.ckpt"
    assert best_checkpoint(weights / "EMOCA/models/EMOCA_v2_lr_mse_20") == weights / BEST


def test_all_missing_files_are_one_short_line(tmp_path: Path):
    folder = tmp_path / "my weights"
    with pytest.raises(UserError) as raised:
        locate(ReleasedFiles(folder=folder))
    message = str(raised.value)
    assert "\n" not in message
    assert len(message.replace(str(folder), "")) < 350
    assert message.startswith(f"{folder}: 5 files are missing or empty: diffusionact_model.pt, ")
    assert all(str(place) in message for name, place in PLACES.items() if name != "diffae")
    assert f"python -m reenact weights --folder '{folder}'" in message


def test_the_weights_command_knows_every_file():
    known = {file.name: file.place for file in FILES}
    assert {name: known[name] for name in PLACES} == {n: str(p) for n, p in PLACES.items()}


def test_empty_and_overridden_files_count_as_missing(weights: Path, tmp_path: Path):
    put(weights / "diffusionact_model.pt", "")
    files = ReleasedFiles(folder=weights, diffae=tmp_path / "a.ckpt", emoca=tmp_path / "b.ckpt")
    with pytest.raises(UserError) as raised:
        locate(files)
    message = str(raised.value)
    assert "3 files are missing or empty" in message
    for path in ("diffusionact_model.pt", tmp_path / "a.ckpt", tmp_path / "b.ckpt"):
        assert str(path) in message
    put(weights / "diffusionact_model.pt")
    with pytest.raises(UserError, match="1 file is missing"):
        locate(dataclasses.replace(files, diffae=None))
