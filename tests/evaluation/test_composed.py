"""Evaluation composes the photos of synthetic clips, seen as the true pictures see them."""

import dataclasses

import pytest
import torch

from diffae import DiffAE
from reenact.data.clips import ClipSet, open_clips
from reenact.data.synthetic.clips import SyntheticConfig
from reenact.data.synthetic.generate import generate
from reenact.evaluation.methods.batches import REGIONS, Batch, load_batches
from reenact.evaluation.methods.methods import ReenactorMethod
from reenact.evaluation.pairing.pairs import PairListConfig, list_pairs, videos_of
from reenact.face.crop import warp_to_crop
from reenact.face.factory import FaceConfig, make_face_stack
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.media.images import image_from_frame
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import ReenactorWeights
from tools.fuzz.material import tiny_config

SIZE = 32


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> ClipSet:
    out = tmp_path_factory.mktemp("clips")
    config = SyntheticConfig(
        out=out, clips=2, frames=4, size=SIZE, cross=2, split="test", workers=1, layers=True
    )
    generate(config)
    return open_clips(out, "test")


@pytest.fixture(scope="module")
def batch(clips) -> Batch:
    """All pairs of two synthetic people: 6 of their own frames, and 4 rendered cross pairs."""
    pairs = list_pairs(clips, PairListConfig())
    assert len(pairs) == 10
    return next(load_batches(videos_of(pairs), clips.by_name, len(pairs)))


def test_regions_cover_the_true_picture_once(batch):
    assert batch.regions.shape == (10, len(REGIONS), SIZE, SIZE)
    hidden = REGIONS.index("hidden")
    assert (batch.regions[:, :hidden].sum(1) - 1).abs().max() < 0.02
    for region in ("face", "hair", "background"):
        assert (batch.regions[:, REGIONS.index(region)].mean((1, 2)) > 0.02).all()


def test_a_still_background_is_that_of_the_true_picture(batch, clips):
    """Where neither picture shows the person, the photo cut by `shown` is the true picture."""
    for i, pair in enumerate(batch.pairs):
        alpha = clips.by_name[pair.source_clip].photo()[..., 3:].repeat(3, 2)
        seen = image_from_frame(warp_to_crop(batch.photos[i], batch.shown[i]))[0]
        free = warp_to_crop(alpha, batch.shown[i])[..., 0] == 0
        bare = (batch.regions[i, REGIONS.index("background")] == 1) & torch.from_numpy(free)
        assert bare.float().mean() > 0.05, pair.key
        levels = (seen - batch.reference[i])[:, bare] * 127.5
        assert levels.abs().median() < 6, pair.key


def method_of(seed: int) -> ReenactorMethod:
    """Networks that are not trained, and the start that follows the layers."""
    torch.manual_seed(seed)
    config = tiny_config()
    diffae = DiffAE(config)
    encoder = ReenactmentEncoder(DiffAE(config).encoder)
    for parameter in diffae.unet.parameters():
        if not parameter.any():  # a fresh U-Net ends in zeros and draws the same for all seeds
            torch.nn.init.normal_(parameter, std=0.1)
    weights = ReenactorWeights(diffae=diffae, encoder=encoder, unet=None, metadata={})
    settings = ReenactorConfig(num_steps=2, encode_steps=2, x_T="layered", carry_detail=True)
    face = make_face_stack(FaceConfig(), torch.device("cpu"))
    return ReenactorMethod(
        Reenactor(weights, face, settings), ["ours", "networks", "warp_only"], oracle_steps=2
    )


def test_without_motion_the_result_is_the_source(batch):
    """Whatever the networks draw."""
    method = method_of(seed=0)
    still = dataclasses.replace(
        batch, shown=batch.crops, target_params=batch.source_params, reference=batch.source
    )
    pictures = method.render(still)
    for name in ("ours", "warp_only"):
        torch.testing.assert_close(pictures[name], batch.source, atol=1e-3, rtol=0)
    assert pictures["networks"].shape == batch.source.shape
    assert (pictures["networks"] - batch.source).abs().mean() > 0.01, "they are not composed"
    assert len(method.cache.states) == 2, "one state for each source"


def test_the_moved_layers_alone_depend_on_no_network(batch):
    """Ours differs from them in what the source hides, in the light on the face and behind the
    head: here half a face that turns round.
    """
    turns = torch.tensor([[0.6, 0.0, 0.0], [-0.4, 0.0, 0.0]])
    source, target = (
        dataclasses.replace(face, rotation=turn.expand_as(face.rotation))
        for face, turn in zip((batch.source_params, batch.target_params), turns, strict=True)
    )
    turned = dataclasses.replace(batch, source_params=source, target_params=target)
    first, second = (method_of(seed).render(turned) for seed in (0, 1))
    assert torch.equal(first["warp_only"], second["warp_only"])
    drawn = (first["ours"] - second["ours"]).abs().amax(1) > 0
    added = (first["ours"] - first["warp_only"]).abs().amax(1) > 1e-3
    assert 0.01 < drawn.float().mean() < 0.6
    assert (added & ~drawn).float().mean() < 0.02, "both networks rarely add the same"
    moved = (first["warp_only"] - batch.source).abs().mean((1, 2, 3))
    assert (moved > 0.1).all(), "the person turns"
