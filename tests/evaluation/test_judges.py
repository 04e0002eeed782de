"""Stand-ins for the networks that users bring, with the calls of the published files."""

import pytest
import torch
from torch import nn

from reenact.errors import UserError
from reenact.evaluation.measuring.judges import (
    JudgeConfig,
    load_judges,
    scripted_i3d,
    scripted_inception,
)

# The stand-ins are scripted as the published files were.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class FakeInception(nn.Module):
    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert return_features
        assert x.dtype == torch.uint8
        return x.float().mean([2, 3])


class FakeI3d(nn.Module):
    def forward(
        self,
        x: torch.Tensor,
        rescale: bool = False,
        resize: bool = True,
        return_features: bool = False,
    ) -> torch.Tensor:
        assert rescale
        assert not resize
        assert return_features
        assert x.shape[3] == 224
        return x.mean([3, 4]).flatten(1)


@pytest.fixture
def files(tmp_path):
    for name, net in (("inception", FakeInception()), ("i3d", FakeI3d())):
        torch.jit.script(net).save(str(tmp_path / f"{name}.pt"))
    return tmp_path


def test_scripted_networks_get_levels_from_0_to_255(files):
    cpu = torch.device("cpu")
    images = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    features = scripted_inception(files / "inception.pt", cpu)(images)
    torch.testing.assert_close(features, torch.tensor([[0.0, 128.0, 255.0]]).expand(2, 3))
    levels = torch.arange(0, 253, 23).float()  # 11 frames
    videos = (levels / 127.5 - 1).view(1, 1, 11, 1, 1).expand(1, 3, 11, 8, 8)
    features = scripted_i3d(files / "i3d.pt", cpu)(videos)
    torch.testing.assert_close(features, levels.repeat(3)[None], atol=1e-3, rtol=1e-4)


def test_judges_of_a_config(files):
    config = JudgeConfig(inception=files / "inception.pt", i3d=files / "i3d.pt")
    judges = load_judges(config, torch.device("cpu"))
    assert judges.widths == {"effnet": 320, "inception": 3}
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    for name, extract in judges.extractors.items():
        assert extract(images).shape == (2, judges.widths[name])
    assert "inception.pt" in config.backbones["fid"]
    assert "SFace" in config.backbones["csim"]


def test_missing_and_foreign_files_name_their_origin(tmp_path):
    (tmp_path / "foreign.pt").write_bytes(b"no network")
    cpu = torch.device("cpu")
    with pytest.raises(UserError, match=r"no such file; inception takes inception-2015-12-05\.pt"):
        load_judges(JudgeConfig(inception=tmp_path / "none.pt"), cpu)
    with pytest.raises(UserError, match=r"not a TorchScript network .* i3d_torchscript\.pt"):
        load_judges(JudgeConfig(i3d=tmp_path / "foreign.pt"), cpu)
    with pytest.raises(UserError, match=r"arcface needs .*InsightFace"):
        load_judges(JudgeConfig(identity="arcface"), cpu)
    with pytest.raises(UserError, match=r"lpips_alex needs .*alexnet"):
        load_judges(JudgeConfig(lpips="alex", perceptual_weights=tmp_path / "none.pth"), cpu)


def test_the_i3d_needs_ten_frames():
    with pytest.raises(ValueError, match="at least 10, got 9"):
        JudgeConfig(fvd_frames=9)
