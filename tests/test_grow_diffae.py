"""The grown autoencoder does on enlarged pictures what the small one does."""

import torch
import torch.nn.functional as F

from diffae import DiffAE, DiffAEConfig
from tools.grow_diffae import grown

CONFIG = DiffAEConfig(
    image_size=32,
    base_channels=16,
    channel_mults=(1, 1),
    encoder_channel_mults=(1, 1),
    attention_resolutions=(8,),
    num_res_blocks=1,
    z_channels=16,
    time_channels=16,
    dropout=0.0,
    prediction="v",
    conditioning="scale_shift",
    patch_size=2,
    z_grid=8,
)


@torch.no_grad()
def test_a_grown_model_is_the_small_one_on_pictures_of_twice_the_side():
    torch.manual_seed(0)
    small = DiffAE(CONFIG).eval()
    for parameter in small.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    large = grown(small).eval()
    assert (large.config.image_size, large.config.patch_size) == (64, 4)
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    double = F.interpolate(picture, scale_factor=2)
    code = small.encode_semantic(picture)
    torch.testing.assert_close(large.encode_semantic(double), code, atol=1e-5, rtol=0)
    t = torch.tensor([10, 900])
    wanted = F.interpolate(small.unet(picture, t, code), scale_factor=2)
    torch.testing.assert_close(large.unet(double, t, code), wanted, atol=1e-4, rtol=0)
    # what the other three of four pixels show is not looked at, so their noise is not averaged away
    noisy = double.clone()
    noisy[..., 1::2, :] += 1
    torch.testing.assert_close(large.unet(noisy, t, code), wanted, atol=1e-4, rtol=0)
