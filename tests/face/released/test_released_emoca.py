from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffae import CheckpointError
from reenact.errors import UserError
from reenact.face.released.emoca import CODE_WIDTHS, Emoca, load_emoca


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    """Key -> shape of both encoders."""
    with torch.device("meta"):
        state = Emoca().state_dict()
    return {f"deca.{name}": tuple(tensor.shape) for name, tensor in state.items()}


@pytest.fixture(scope="module")
def emoca(fill_state: Callable[..., dict[str, Tensor]], shapes) -> Emoca:
    return Emoca.from_tensors(fill_state(shapes))


def constants(shapes: dict[str, tuple[int, ...]], num_expression: int = 50) -> dict[str, Tensor]:
    """Weights of zero with which E_flame says 0..235 and E_expression 1000, 1001, ...

    Each is one number repeated, so that a file of them is small.
    """
    tensors = {
        name: torch.zeros((), dtype=torch.long if "num_batches" in name else None).expand(shape)
        for name, shape in shapes.items()
    }
    tensors["deca.E_flame.layers.2.bias"] = torch.arange(236.0)
    tensors["deca.E_expression.layers.2.bias"] = 1000 + torch.arange(float(num_expression))
    tensors["deca.E_expression.layers.2.weight"] = torch.zeros(1).expand(num_expression, 1024)
    return tensors


def test_codes_equal_the_published_ones(emoca: Emoca, golden: Callable[[str], Any]):
    numbers = golden("emoca_encoder")
    image = numbers["image_u8"].permute(2, 0, 1)[None].float() / 255
    codes = emoca.encode(image)
    for name, value in (
        ("shape", codes.shape),
        ("exp", codes.expression),
        ("pose", codes.pose),
        ("cam", codes.cam),
    ):
        assert_close(value, numbers[f"final_{name}"], atol=5e-5, rtol=0)
    swapped = emoca.encode(image.flip(1))
    assert (swapped.shape - codes.shape).abs().max() > 5e-3


def test_keys_are_the_published_ones(shapes, golden: Callable[[str], Any]):
    published = golden("keys.json")["emoca"]
    assert {name: list(shape) for name, shape in shapes.items()} == published


def test_the_second_encoder_replaces_the_expression_only(shapes):
    codes = Emoca.from_tensors(constants(shapes)).encode(torch.rand(2, 3, 224, 224))
    assert codes.shape[1].tolist() == list(range(100))
    assert codes.expression[1].tolist() == list(range(1000, 1050))
    assert codes.pose[1].tolist() == list(range(200, 206))
    assert codes.cam[1].tolist() == list(range(206, 209))
    assert sum(CODE_WIDTHS.values()) == 236


@pytest.mark.parametrize(
    ("width", "part", "pose"),
    [
        (53, "jaw", [200, 201, 202, 1050, 1051, 1052]),
        (53, "global", [1050, 1051, 1052, 203, 204, 205]),
        (56, None, [1050, 1051, 1052, 1053, 1054, 1055]),
    ],
)
def test_wider_expression_heads_replace_rotations(shapes, width: int, part, pose: list[int]):
    emoca = Emoca.from_tensors(constants(shapes, width), part)
    codes = emoca.encode(torch.rand(1, 3, 224, 224))
    assert codes.pose[0].tolist() == pose
    assert codes.expression[0].tolist() == list(range(1000, 1050))


def test_missing_and_misshaped_tensors_are_named_in_one_line(shapes):
    tensors = constants(shapes)
    del tensors["deca.E_flame.encoder.bn1.weight"]
    tensors["deca.E_flame.layers.0.bias"] = torch.zeros(7)
    with pytest.raises(CheckpointError) as raised:
        Emoca.from_tensors(tensors)
    message = str(raised.value)
    assert "1 missing (deca.E_flame.encoder.bn1.weight)" in message
    assert "deca.E_flame.layers.0.bias is [7], not [1024]" in message
    assert "\n" not in message


@pytest.mark.parametrize("width", [49, 51, 59])
def test_other_widths_are_refused(shapes, width: int):
    with pytest.raises(CheckpointError, match=f"{width} expression outputs"):
        Emoca.from_tensors(constants(shapes, width))


class Callback:
    """Stands for what Lightning pickles beside the weights."""


@pytest.fixture
def write(tmp_path: Path, shapes, flame_tensors: dict[str, Tensor]):
    """Function: a checkpoint in the published folders, of this expression width."""

    def save(width: int = 50) -> Path:
        state = constants(shapes, width)
        state |= {f"deca.flame.{name}": tensor for name, tensor in flame_tensors.items()}
        state |= {"deca.E_detail.layers.0.weight": torch.zeros(3), "deca.D_detail.x": torch.ones(1)}
        folder = tmp_path / "EMOCA_v2_lr_mse_20/detail/checkpoints/deca-epoch=10-val_loss"
        folder.mkdir(parents=True)
        path = folder / "dataloader_idx_0=3.25521111.ckpt"
        content = {"state_dict": state, "callbacks": {Callback: 1}, "hyper_parameters": Callback()}
        torch.save(content, path)
        return path

    return save


def test_checkpoint_gives_encoders_and_head_model(write, flame_tensors: dict[str, Tensor]):
    emoca, flame = load_emoca(write())
    assert emoca.encode(torch.rand(1, 3, 224, 224)).cam[0].tolist() == [206, 207, 208]
    vertices = flame.vertices(torch.zeros(1, 100), torch.zeros(1, 50), torch.zeros(1, 6))
    assert_close(vertices[0], flame_tensors["v_template"], atol=1e-5, rtol=0)
    assert not any(p.requires_grad for p in (*emoca.parameters(), *flame.parameters()))
    assert not emoca.training


def test_cfg_yaml_tells_jaw_from_head(write):
    path = write(53)
    config = path.parents[3] / "cfg.yaml"
    with pytest.raises(UserError, match=r"cfg\.yaml beside the folder `detail`"):
        load_emoca(path)
    for jaw, pose in ((True, [1050, 1051, 1052]), (False, [203, 204, 205])):
        flags = f"exp_deca_jaw_pose: {jaw}\n    exp_deca_global_pose: {not jaw}".lower()
        config.write_text(f"coarse:\n  model: {{}}\ndetail:\n  model:\n    {flags}\n")
        codes = load_emoca(path)[0].encode(torch.rand(1, 3, 224, 224))
        assert codes.pose[0, 3:].tolist() == pose
    for text, message in (
        ("detail:\n  model: {}\n", "exactly one must be true"),
        ("detail: 1\n", "not EMOCA's cfg.yaml"),
        ("a: [", "not EMOCA's cfg.yaml"),
    ):
        config.write_text(text)
        with pytest.raises(UserError, match=message):
            load_emoca(path)


def test_other_files_are_refused(tmp_path: Path):
    torch.save({"model": torch.zeros(1)}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="not an EMOCA checkpoint"):
        load_emoca(tmp_path / "a.ckpt")
    torch.save({"state_dict": {"model.w": torch.zeros(1)}}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"E_expression\.layers\.2\.weight"):
        load_emoca(tmp_path / "a.ckpt")
