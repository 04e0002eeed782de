"""Checkpoints: our own files, the released layouts, and files that are refused."""

import contextlib
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffae import CheckpointError, DiffAE, load_checkpoint, save_checkpoint
from diffae.checkpoint import official_name

LIGHTNING = "pytorch_lightning.callbacks.model_checkpoint"


def official_state(ae: DiffAE, prefix: str) -> dict[str, Tensor]:
    return {prefix + official_name(name): t for name, t in ae.state_dict().items()}


def equal(a: DiffAE, b: DiffAE) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.fixture
def online(make_small) -> DiffAE:
    return make_small()


@pytest.fixture
def average(make_small) -> DiffAE:
    return make_small()


@pytest.fixture
def state_dict(online: DiffAE, average: DiffAE) -> dict[str, Tensor]:
    both = official_state(online, "model.") | official_state(average, "ema_model.")
    return both | {"x_T": torch.zeros(2, 3, 16, 16)}


@pytest.fixture
def callback_class() -> Iterator[type]:
    """A class of Lightning's name, importable while the test writes a file."""
    names = ["pytorch_lightning", "pytorch_lightning.callbacks", LIGHTNING]
    if any(name in sys.modules for name in names):
        pytest.skip("Lightning is installed and imported")
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    cls = type("ModelCheckpoint", (), {"__module__": LIGHTNING})
    sys.modules[LIGHTNING].ModelCheckpoint = cls  # type: ignore[attr-defined]
    yield cls
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "options",
    [{}, {"prediction": "v", "conditioning": "scale_shift", "z_grid": 8, "dropout": 0.0}],
)
def test_own_file_roundtrip(make_small, tmp_path: Path, options: dict[str, object]):
    ae = make_small(**options)
    path = tmp_path / "new" / "ae.safetensors"
    save_checkpoint(ae, path)
    save_checkpoint(ae, path)
    loaded = load_checkpoint(path)
    assert loaded.config == ae.config
    assert equal(loaded, ae)
    assert not loaded.training
    assert all(p.requires_grad for p in loaded.parameters())
    assert [p.name for p in path.parent.iterdir()] == ["ae.safetensors"]


def test_half_precision_file_loads_as_float32(online: DiffAE, tmp_path: Path):
    save_checkpoint(online, tmp_path / "a.safetensors")
    save_checkpoint(online, tmp_path / "b.safetensors", torch.float16)
    assert (tmp_path / "b.safetensors").stat().st_size < 0.6 * (
        tmp_path / "a.safetensors"
    ).stat().st_size
    loaded = load_checkpoint(tmp_path / "b.safetensors")
    for found, expected in zip(loaded.parameters(), online.parameters(), strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected.half().float())


def test_released_layout(
    callback_class: type, state_dict, online: DiffAE, average: DiffAE, tmp_path: Path
):
    path = tmp_path / "last.ckpt"
    content = {
        "epoch": 1,
        "state_dict": state_dict,
        "callbacks": {callback_class: {"best_model_score": torch.tensor(1.0)}},
        "hyper_parameters": {"conf": callback_class()},
    }
    torch.save(content, path)
    for name in [name for name in sys.modules if name.startswith("pytorch_lightning")]:
        del sys.modules[name]
    assert equal(load_checkpoint(path), average)
    assert equal(load_checkpoint(path, weights="model"), online)
    assert load_checkpoint(path).config == online.config
    assert not any(name.startswith("pytorch_lightning") for name in sys.modules)


@pytest.mark.parametrize("refused", [False, True])
def test_code_in_a_file_does_not_run(state_dict, tmp_path: Path, refused: bool):
    """A call by name is skipped; a method looked up at run time makes the file unreadable."""
    (tmp_path / "source").touch()

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            if refused:
                return (Path.touch, (tmp_path / "sprung",))
            return (shutil.copyfile, (str(tmp_path / "source"), str(tmp_path / "sprung")))

    torch.save({"state_dict": state_dict, "extra": Trap()}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError) if refused else contextlib.nullcontext():
        load_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_bare_state_dict(online: DiffAE, tmp_path: Path, nested: bool, zipped: bool):
    bare = official_state(online, "") | {"x_T": torch.zeros(1, 3, 16, 16)}
    content = {"state_dict": bare} if nested else bare
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert equal(load_checkpoint(tmp_path / "a.pt"), online)


def test_latent_checkpoint_extras_are_left_out(
    golden_dir: Path, state_dict, average: DiffAE, tmp_path: Path
):
    names = [
        line.split()[0]
        for line in (golden_dir / "ffhq256_latent_extra_keys.txt").read_text().splitlines()
    ]
    assert len(names) == 78
    for prefix in ("model.", "ema_model."):
        state_dict |= {prefix + name: torch.zeros(1) for name in names}
    state_dict |= {"conds_mean": torch.zeros(1, 12), "conds_std": torch.ones(1, 12)}
    torch.save({"state_dict": state_dict}, tmp_path / "a.ckpt")
    assert equal(load_checkpoint(tmp_path / "a.ckpt"), average)


@pytest.mark.parametrize(("kept", "asked"), [("model.", "ema"), ("ema_model.", "model")])
def test_absent_copy_is_replaced_with_a_warning(
    state_dict, online: DiffAE, average: DiffAE, tmp_path: Path, kept: str, asked: str
):
    torch.save(
        {"state_dict": {k: v for k, v in state_dict.items() if k.startswith((kept, "x_T"))}},
        tmp_path / "a.ckpt",
    )
    with pytest.warns(UserWarning, match="holds no"):
        loaded = load_checkpoint(tmp_path / "a.ckpt", weights=asked)
    assert equal(loaded, online if kept == "model." else average)


def test_missing_unexpected_and_misshaped_keys_are_named(state_dict, tmp_path: Path):
    del state_dict["ema_model.out.2.bias"]
    state_dict["ema_model.colour"] = torch.zeros(1)
    state_dict["ema_model.out.0.bias"] = torch.zeros(7)
    torch.save({"state_dict": state_dict}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError) as raised:
        load_checkpoint(tmp_path / "a.ckpt")
    message = str(raised.value)
    assert "1 missing (out.2.bias)" in message
    assert "1 unexpected (colour)" in message
    assert "1 mis-shaped (out.0.bias is [7], not [32])" in message
    assert "\n" not in message


def bad_files(folder: Path, ae: DiffAE) -> dict[str, Path]:
    """Every way a file can be wrong -> a file that is."""
    save_checkpoint(ae, folder / "good.safetensors")
    torch.save({"state_dict": official_state(ae, "model.")}, folder / "good.ckpt")
    bad = {"missing": folder / "absent.ckpt", "folder": folder}
    for suffix in ("safetensors", "ckpt"):
        data = (folder / f"good.{suffix}").read_bytes()
        for kind, content in (
            ("empty", b""),
            ("truncated", data[: len(data) // 2]),
            ("header", data[:5]),
            ("text", b"version https://git-lfs.github.com/spec/v1\n" * 3),
        ):
            bad[f"{kind} {suffix}"] = folder / f"{kind}.{suffix}"
            bad[f"{kind} {suffix}"].write_bytes(content)
    torch.save({"state_dict": {"conv.weight": torch.zeros(3)}}, folder / "foreign.pt")
    torch.save([1, 2], folder / "list.pt")
    torch.save({}, folder / "nothing.pt")
    return bad | {name: folder / f"{name}.pt" for name in ("foreign", "list", "nothing")}


def test_bad_files_are_refused_in_one_line(online: DiffAE, tmp_path: Path):
    for kind, path in bad_files(tmp_path, online).items():
        with pytest.raises(CheckpointError) as raised:
            load_checkpoint(path)
        assert str(path) in str(raised.value), kind
        assert "\n" not in str(raised.value), kind


def test_unknown_copy_is_refused(online: DiffAE, tmp_path: Path):
    save_checkpoint(online, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="weights must be"):
        load_checkpoint(tmp_path / "a.safetensors", weights="best")


def test_failed_save_leaves_the_old_file(online: DiffAE, tmp_path: Path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(online, path)
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("diffae.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(online, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_equal_weights_give_equal_bytes(online: DiffAE, tmp_path: Path):
    for number in range(8):
        save_checkpoint(online, tmp_path / f"{number}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
