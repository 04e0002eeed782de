"""What a metric can look at: the pictures and faces of pairs, or all pairs of a mode together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from reenact.evaluation.readers import FaceReading


class PerceptualDistance(Protocol):
    """A network that compares images (B, 3, H, W) in [-1, 1], twice, to distances (B,)."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor: ...


class LocalDistance(PerceptualDistance, Protocol):
    """A network that also compares images in regions (B, K, H, W) of them, to distances (B, K)."""

    def distances_in(self, a: Tensor, b: Tensor, regions: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B pictures of one method and what they are compared with: the input of a pair metric.

    regions: (B, 5, H, W) in [0, 1], how much of each pixel of the reference is of each of REGIONS;
        0 everywhere where that is not known.
    """

    prediction: Tensor
    reference: Tensor
    face: FaceReading
    reference_face: FaceReading
    source_face: FaceReading
    effnet: PerceptualDistance
    lpips: LocalDistance | None
    regions: Tensor

    @cached_property
    def lpips_in_regions(self) -> Tensor:
        """LPIPS (B, 5) in each of REGIONS."""
        assert self.lpips is not None, "the metric needs a network that is not there"
        return self.lpips.distances_in(self.prediction, self.reference, self.regions)


Reading = dict[str, Any]
"""The numbers of one picture: `found`, the pair metrics and the traces. None where unknown."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All pictures of one method in one mode: the input of a pooled metric.

    readings, references: of the method's pictures and of the true pictures.
    features: the features (N, D) of both by a network, only of the pairs with a true picture; None
        where there are fewer than two, or without the network.
    videos: which rows of the features belong to one video, in the order of the frames.
    clip_features: the features of both by the I3D, from whole windows of frames, or None.
    """

    readings: Sequence[Reading]
    references: Sequence[Reading]
    features: Callable[[str], tuple[Tensor, Tensor] | None]
    videos: Sequence[Sequence[int]]
    clip_features: Callable[[], tuple[Tensor, Tensor] | None]
