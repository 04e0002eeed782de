"""The averaged weights of a small model give the numbers of the official code."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffae import DiffAE
from diffae.blocks import ConditionedResBlock

IO = dict[str, Tensor]


def test_semantic_codes_equal_the_official_ones(tiny_ema: DiffAE, tiny_io: IO):
    assert_close(tiny_ema.encode_semantic(tiny_io["x"]), tiny_io["z_sem"], atol=2e-6, rtol=0)


def test_features_before_the_pooling_equal_the_official_ones(tiny_ema: DiffAE, tiny_io: IO):
    h = tiny_io["x"]
    for block in tiny_ema.encoder.input_blocks:
        h = block(h)
    h = tiny_ema.encoder.middle_block(h)
    assert_close(h, tiny_io["enc_last_feature"], atol=2e-5, rtol=1e-5)


def test_the_scales_of_all_blocks_equal_the_official_ones(tiny_ema: DiffAE, tiny_io: IO):
    blocks = [m for m in tiny_ema.unet.modules() if isinstance(m, ConditionedResBlock)]
    styles = torch.cat([b.cond_emb_layers(tiny_io["z_sem"]) for b in blocks], dim=1)
    assert_close(styles, tiny_io["stylespace"], atol=2e-6, rtol=0)


@pytest.mark.parametrize("times", [(0, 0), (20, 20), (250, 250), (500, 500), (999, 999), (37, 912)])
def test_predicted_noise_equals_the_official_one(
    tiny_ema: DiffAE, tiny_io: IO, times: tuple[int, int]
):
    name = "eps_t37_912" if times == (37, 912) else f"eps_t{times[0]}"
    eps = tiny_ema.unet(tiny_io["noisy"], torch.tensor(times), tiny_io["z_sem"])
    assert_close(eps, tiny_io[name], atol=5e-6, rtol=0)


@pytest.mark.parametrize(
    ("num_steps", "clip", "name"),
    [(10, True, "xT_T10"), (20, True, "xT_T20"), (10, False, "xT_noclip_T10")],
)
def test_x_T_equals_the_official_one(
    tiny_ema: DiffAE, tiny_io: IO, num_steps: int, clip: bool, name: str
):
    x_T = tiny_ema.encode_stochastic(tiny_io["x"], tiny_io["z_sem"], num_steps, clip=clip)
    assert_close(x_T, tiny_io[name], atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("start", "num_steps", "name"),
    [
        ("xT_T10", 10, "render_xT_T10"),
        ("xT_T20", 20, "render_xT_T20"),
        ("xT_T20", 10, "render_xT20_T10"),
        ("noise", 10, "render_noise_T10"),
    ],
)
def test_decoded_images_equal_the_official_ones(
    tiny_ema: DiffAE, tiny_io: IO, start: str, num_steps: int, name: str
):
    image = tiny_ema.decode(tiny_io[start], tiny_io["z_sem"], num_steps)
    assert_close((image + 1) / 2, tiny_io[name], atol=5e-5, rtol=0)


def test_decoding_with_the_other_images_code_equals_the_official_result(
    tiny_ema: DiffAE, tiny_io: IO
):
    image = tiny_ema.decode(tiny_io["noise"], tiny_io["z_sem"].flip(0), 10)
    assert_close((image + 1) / 2, tiny_io["render_noise_swapped_T10"], atol=5e-5, rtol=0)


def test_decoding_without_clamping_equals_the_official_result(tiny_ema: DiffAE, tiny_io: IO):
    image = tiny_ema.decode(tiny_io["noise"], tiny_io["z_sem"], 10, clip=False)
    assert_close(image, tiny_io["sample_noclip_noise_T10"], atol=2e-4, rtol=0)


def test_every_step_of_both_directions_equals_the_official_one(tiny_ema: DiffAE, tiny_io: IO):
    states: list[Tensor] = []

    def keep(step: int, x: Tensor) -> None:
        assert step == len(states)
        states.append(x[0, :, ::2, ::2])

    tiny_ema.encode_stochastic(tiny_io["x"], tiny_io["z_sem"], 10, on_step=keep)
    assert_close(torch.stack(states), tiny_io["traj_enc_T10_s2"], atol=5e-5, rtol=0)
    states.clear()
    tiny_ema.decode(tiny_io["noise"], tiny_io["z_sem"], 10, on_step=keep)
    assert_close(torch.stack(states), tiny_io["traj_dec_T10_s2"], atol=5e-5, rtol=0)
