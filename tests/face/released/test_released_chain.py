"""The published chain from aligned pictures to the result, under the rule of the golden numbers."""

import pytest
import torch

from diffae import DiffAE
from reenact.inference.compose import resized_frames
from reenact.inference.drawings import Drawings
from reenact.inference.reenactor import Reenactor, ReenactorConfig
from reenact.media.images import frame_from_image, image_from_frame
from reenact.models.checkpoint import ReenactorWeights
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.released import PUBLISHED_CONFIG


@pytest.fixture(scope="module")
def weights(fill) -> ReenactorWeights:
    def filled(module, name):
        state = {k: fill(name(k), tuple(v.shape)) for k, v in module.state_dict().items()}
        module.load_state_dict(state, assign=True)
        return module.eval().requires_grad_(False)

    with torch.device("meta"):
        diffae, tuned = DiffAE(PUBLISHED_CONFIG), DiffAE(PUBLISHED_CONFIG)
        encoder = ReenactmentEncoder(DiffAE(PUBLISHED_CONFIG).encoder)
    parts = {"encoder.": "controlnet.", "zero_conv.": "zero_conv_1."}

    def published(key: str) -> str:
        part = next(p for p in parts if key.startswith(p))
        return "net:" + parts[part] + key.removeprefix(part)

    return ReenactorWeights(
        diffae=filled(diffae, lambda key: "diff:ema_model." + key.removeprefix("unet.")),
        encoder=filled(encoder, published),
        unet=filled(tuned.unet, lambda key: "diff:model." + key),
        metadata={},
    )


@pytest.mark.slow
def test_the_chain_equals_the_published_one(golden, released_faces, weights):
    numbers = golden("pipeline", whole=True)
    face, faces = released_faces
    config = ReenactorConfig(num_steps=2, encode_steps=2, precision="fp32")
    reenactor = Reenactor(weights, face, config)
    image = image_from_frame(numbers["source_u8"].numpy())
    source = faces["source"]
    drawings = Drawings(face, source, source, size=256, device=torch.device("cpu"))
    with torch.no_grad():
        z_source = reenactor.networks.code(image, drawings, of_source=True)
    torch.testing.assert_close(z_source, numbers["z_source"], atol=1e-4, rtol=1e-4)
    state = reenactor.set_source(image, source)
    torch.testing.assert_close(state.x_T, numbers["xT"], atol=1e-3, rtol=0)
    result = reenactor.render(state, faces["target"])
    torch.testing.assert_close(result, numbers["output"], atol=2e-3, rtol=0)


def test_pictures_are_saved_as_published(golden):
    numbers = golden("e2e", whole=True)
    saved = resized_frames(numbers["output_T2_model"], 256, "stretched")
    assert (saved == numbers["saved_u8"].numpy()).all()
    plain = frame_from_image(numbers["output_T2_model"])
    assert (plain == resized_frames(numbers["output_T2_model"], 256)).all()
