"""E_r and the files of its weights."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from diffae import CheckpointError, DiffAE, save_checkpoint
from reenact.face.params import NUM_MOTION_VALUES, FaceParams, motion_vector
from reenact.models.checkpoint import is_reenactor, load_reenactor, save_reenactor
from reenact.models.reenactment_encoder import ReenactmentEncoder
from tests.released_rules import SMALL_DIFFAE

CONFIG = replace(SMALL_DIFFAE, prediction="v", conditioning="scale_shift")


@pytest.fixture
def ae() -> DiffAE:
    return DiffAE(CONFIG).eval()


@pytest.fixture
def encoder(ae) -> ReenactmentEncoder:
    return ReenactmentEncoder(copy.deepcopy(ae.encoder)).eval()


def equal_states(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_a_fresh_encoder_returns_the_code_of_the_source(ae, encoder):
    source, drawing = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    assert torch.equal(encoder(source, drawing), ae.encode_semantic(source))


def test_the_map_is_added_to_the_source_after_a_1x1_convolution(ae, encoder):
    source, drawing = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        encoder.zero_conv.weight.copy_(0.5 * torch.eye(3)[:, :, None, None])
        encoder.zero_conv.bias.fill_(0.1)
    expected = ae.encode_semantic(source + 0.5 * drawing + 0.1)
    torch.testing.assert_close(encoder(source, drawing), expected)


def test_the_zero_convolution_gets_a_gradient_from_the_start(encoder):
    encoder(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)).square().sum().backward()
    assert encoder.zero_conv.weight.grad.abs().sum() > 0


def test_a_fresh_motion_head_changes_nothing_and_learns(ae):
    encoder = ReenactmentEncoder(copy.deepcopy(ae.encoder), has_motion_head=True).eval()
    source, drawing = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    motion = torch.randn(2, NUM_MOTION_VALUES)
    code = encoder(source, drawing, motion)
    assert torch.equal(code, ae.encode_semantic(source))
    code.square().sum().backward()
    assert encoder.motion_head is not None
    assert encoder.motion_head[-1].weight.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="needs `motion`"):
        encoder(source, drawing)


def test_motion_vector_does_not_depend_on_the_pictures_size():
    small, large = FaceParams.neutral(1), FaceParams.neutral(1)
    small = replace(small, translation=torch.tensor([[30.0, 40.0]]), scale=torch.tensor([24.0]))
    large = replace(large, translation=torch.tensor([[60.0, 80.0]]), scale=torch.tensor([48.0]))
    expected = motion_vector(small, small, 64)
    assert expected.shape == (1, NUM_MOTION_VALUES)
    torch.testing.assert_close(motion_vector(large, large, 128), expected)


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("has_motion_head", [False, True])
def test_weights_survive_a_file_bit_for_bit(tmp_path, ae, tuned, has_motion_head):
    encoder = ReenactmentEncoder(ae.encoder, has_motion_head=has_motion_head)
    unet = copy.deepcopy(ae.unet).to(memory_format=torch.channels_last) if tuned else None
    torch.nn.init.normal_(encoder.zero_conv.weight)
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, ae, encoder, unet, {"stage": "align", "step": "7"})
    loaded = load_reenactor(path)
    assert is_reenactor(path)
    assert equal_states(loaded.diffae, ae)
    assert equal_states(loaded.encoder, encoder)
    assert (loaded.unet is None) == (unet is None)
    if unet is not None:
        assert equal_states(loaded.unet, unet)
    assert loaded.diffae.config == CONFIG
    assert (loaded.metadata["stage"], loaded.metadata["step"]) == ("align", "7")
    assert not loaded.encoder.training
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path, ae, encoder):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_reenactor(full, ae, encoder)
    save_reenactor(half, ae, encoder, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    loaded = load_reenactor(half).diffae.state_dict()
    for name, tensor in ae.state_dict().items():
        assert loaded[name].dtype == torch.float32
        torch.testing.assert_close(loaded[name], tensor, atol=1e-3, rtol=1e-3)


def test_unusable_files_are_one_line_errors(tmp_path, ae, encoder):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(CheckpointError, match="no such file"):
        load_reenactor(path)
    save_reenactor(path, ae, encoder)
    path.write_bytes(path.read_bytes()[:1000])
    assert not is_reenactor(path)
    with pytest.raises(CheckpointError, match="not a readable"):
        load_reenactor(path)
    save_checkpoint(ae, path)
    assert not is_reenactor(path)
    with pytest.raises(CheckpointError, match="not a reenactor"):
        load_reenactor(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.zero_conv.bias"), "lacks 'zero_conv.bias'"),
        (lambda t: t.update({"encoder.more": torch.zeros(1)}), "extra tensor 'more'"),
        (lambda t: t.update({"other.more": torch.zeros(1)}), "unknown tensor 'other.more'"),
        (lambda t: t.update({"encoder.zero_conv.bias": torch.zeros(4)}), r"is \(4,\)"),
        (lambda t: t["encoder.zero_conv.bias"].fill_(torch.nan), r"conv\.bias is not finite"),
    ],
)
def test_tensors_that_do_not_fit_the_config_are_named(tmp_path, ae, encoder, change, message):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, ae, encoder)
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
    change(tensors)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        load_reenactor(path)


def test_the_diffae_may_lie_in_a_file_beside(tmp_path, ae, encoder):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, ae, encoder, diffae_file="diffae.safetensors")
    loaded = load_reenactor(path)
    assert equal_states(loaded.diffae, ae)
    assert not loaded.diffae.training
    other = DiffAE(replace(CONFIG, z_channels=8))
    save_checkpoint(other, tmp_path / "diffae.safetensors")
    with pytest.raises(CheckpointError, match=r"diffae\.safetensors has another architecture"):
        load_reenactor(path)
    (tmp_path / "diffae.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"diffae\.safetensors"):
        load_reenactor(path)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "/etc/passwd", "..", "folder/a"])
def test_a_header_names_no_file_elsewhere(tmp_path, ae, encoder, name):
    path = tmp_path / "weights.safetensors"
    save_reenactor(path, ae, encoder, diffae_file="diffae.safetensors")
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
    ((entry, header),) = metadata.items()
    header = json.dumps(json.loads(header) | {"diffae_file": name})
    save_file(tensors, path, metadata={entry: header})
    with pytest.raises(CheckpointError, match="expected a file beside it"):
        load_reenactor(path)
