"""Exported networks give torch's numbers, and a file that does not is not written."""

import json
import sys
from pathlib import Path

import pytest
import torch

from reenact.errors import UserError
from reenact.inference import export
from reenact.inference.export import export_onnx, export_program, networks_of, write_manifest


@pytest.fixture
def unet(weights):
    return named(weights, "unet")


def named(weights, name):
    return next(network for network in networks_of(weights) if network.name == name)


@pytest.mark.slow
def test_onnx_runs_at_any_batch_size(unet, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert export_onnx(unet, tmp_path) < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "unet.onnx"))
    assert [value.name for value in session.get_inputs()] == ["x_t", "t", "z_sem"]
    inputs = [value.example(5) for value in unet.inputs]
    names = [value.name for value in unet.inputs]
    (got,) = session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})
    with torch.no_grad():
        expected = unet.module(*inputs)
    torch.testing.assert_close(torch.from_numpy(got), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_program_of_torch_export_runs(unet, tmp_path: Path):
    assert export_program(unet, tmp_path) < 1e-4
    inputs = [value.example(4) for value in unet.inputs]
    program = torch.export.load(tmp_path / "unet.pt2").module()
    torch.testing.assert_close(program(*inputs), unet.module(*inputs), atol=1e-4, rtol=1e-4)


def test_a_file_that_differs_is_not_written(weights, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="blendshapes: the exported program gives another"):
        export_program(named(weights, "tracker_blendshapes"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_error_says_what_to_install(unet, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    pytest.importorskip("onnx")
    with pytest.raises(UserError, match="onnxruntime is missing, pip install onnx"):
        export_onnx(unet, tmp_path)


def test_the_manifest_describes_every_network(weights, tmp_path: Path):
    networks = networks_of(weights)
    write_manifest(networks, weights, tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert content["networks"].keys() == {network.name for network in networks}
    x_t = content["networks"]["unet"]["inputs"][0]
    assert (x_t["name"], x_t["shape"]) == ("x_t", ["batch", 3, 32, 32])
    assert content["recipe"]["num_steps"] == 2


def test_the_described_shapes_are_those_of_the_networks(weights):
    for network in networks_of(weights):
        with torch.no_grad():
            outputs = network.module(*[value.example(2) for value in network.inputs])
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        assert [tuple(o.shape) for o in outputs] == [(2, *v.shape) for v in network.outputs]
