"""The metrics of the report: each is one function and one record in `METRICS`.

To add a metric, write its function and append a `Metric` to `METRICS`. All tables, files and notes
of the report follow from the record.

Images are float (B, 3, H, W) in [-1, 1]. ↑ means that more is better, ↓ that less is better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from reenact.device import exact
from reenact.evaluation.measuring.comparison import Comparison, PerceptualDistance, Pool
from reenact.evaluation.measuring.frechet import frechet_distance, video_features
from reenact.evaluation.methods.batches import REGIONS
from reenact.evaluation.readers import FaceReading
from reenact.face.expressions import BLINKS, JAW

PSNR_CAP = 100.0  # decibels, reached by equal images: keeps means finite
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
OUTER_EYE_CORNERS = (36, 45)  # of the 68 landmarks


def l1(prediction: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference ↓ on the [0, 1] scale (half of that of the [-1, 1] images). (B,)."""
    return (prediction - reference).abs().mean(dim=(1, 2, 3)) / 2


def l1_in(prediction: Tensor, reference: Tensor, region: Tensor) -> Tensor:
    """`l1` over a region (B, H, W), how much of each pixel counts. (B,); 0 for an empty region."""
    difference = (prediction - reference).abs().mean(1) / 2
    return (difference * region).sum((1, 2)) / region.sum((1, 2)).clamp(min=1e-6)


def psnr(prediction: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio ↑ in decibels over all channels, at most PSNR_CAP. (B,)."""
    mse = ((prediction - reference) / 2).square().mean(dim=(1, 2, 3))
    return -10 * mse.clamp_min(10 ** (-PSNR_CAP / 10)).log10()


def ssim(prediction: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity ↑, at most 1 (Wang et al. 2004). (B,).

    Gaussian window of 11×11 pixels with sigma 1.5, on RGB in [0, 1], averaged over the positions
    where the whole window lies inside the picture, then over the channels. Images must be at
    least 11 pixels wide and high.
    """
    a, b = (exact(prediction) + 1) / 2, (exact(reference) + 1) / 2
    offsets = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1).to(a)
    window = torch.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    window = window / window.sum()

    def blur(x: Tensor) -> Tensor:
        x = x.flatten(0, 1).unsqueeze(1)
        return functional.conv2d(
            functional.conv2d(x, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1)
        )

    mean_a, mean_b = blur(a), blur(b)
    var_a = blur(a * a) - mean_a**2
    var_b = blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    score = ((2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + SSIM_C1) * (var_a + var_b + SSIM_C2)
    )
    return score.view(len(a), -1).mean(1).to(prediction)


def csim(prediction: Tensor, source: Tensor) -> Tensor:
    """Cosine ↑ of two identity embeddings (B, D), in [-1, 1]. (B,).

    The second embedding is always the source's, in self and in cross pairs alike: the source is
    the only picture of the person that the method has seen.
    """
    return functional.cosine_similarity(prediction, source, dim=1)


def apd(prediction: Tensor, reference: Tensor) -> Tensor:
    """Average pose distance ↓: mean |Δ| of yaw, pitch and roll in degrees. (B,).

    Rotations (B, 3) in radians; differences are taken the short way round.
    """
    difference = prediction - reference
    difference = torch.remainder(difference + math.pi, 2 * math.pi) - math.pi
    return torch.rad2deg(difference.abs()).mean(1)


def aed(prediction: Tensor, reference: Tensor) -> Tensor:
    """Average expression distance ↓: 100 × mean |Δ| of the expression coefficients. (B,).

    Coefficients (B, 52) in [0, 1], so the unit is per cent of a coefficient's range. (The FOMM
    family calls another number AED: an identity distance.)
    """
    return 100 * (prediction - reference).abs().mean(1)


def gaze_direction(gaze: Tensor) -> Tensor:
    """(B, 2) yaw and pitch in radians, relative to the head, to unit directions (B, 3).

    The third axis points at the camera: rot_y(yaw) rot_x(pitch) applied to (0, 0, 1).
    """
    yaw, pitch = gaze.unbind(1)
    return torch.stack([yaw.sin() * pitch.cos(), -pitch.sin(), yaw.cos() * pitch.cos()], 1)


def gaze_error(prediction: Tensor, reference: Tensor) -> Tensor:
    """Angle ↓ in degrees between two gaze directions, each relative to its own head. (B,).

    Gazes (B, 2) yaw, pitch in radians. The head's own turn is `apd`'s business.
    """
    a, b = gaze_direction(exact(prediction)), gaze_direction(exact(reference))
    # atan2 keeps small angles exact, where the arc cosine loses half of the digits.
    angle = torch.atan2(torch.linalg.cross(a, b).norm(dim=1), (a * b).sum(1))
    return torch.rad2deg(angle).to(prediction)


def nme(prediction: Tensor, reference: Tensor) -> Tensor:
    """Normalised mean error ↓ of landmarks (B, 68, 2), in per cent of the inter-ocular distance.

    The inter-ocular distance is that of the reference's outer eye corners in the picture. (B,).
    """
    left, right = OUTER_EYE_CORNERS
    interocular = (reference[:, left] - reference[:, right]).norm(dim=1)
    return 100 * (prediction - reference).norm(dim=2).mean(1) / interocular


def correlation(x: Tensor, y: Tensor) -> float | None:
    """Pearson's correlation ↑ of two (N,) series; None below 3 points or for a constant series."""
    if len(x) < 3:
        return None
    x, y = exact(x) - exact(x).mean(), exact(y) - exact(y).mean()
    scale = x.norm() * y.norm()
    if scale < 1e-12:
        return None
    return float((x * y).sum() / scale)


LEAST_REGION = 0.002
"""A region that covers less of the true picture than this share is not measured."""
Need = str
"""What a pair must have: "truth", "face", "reference_face", "source_face", "lpips", or one of the
regions, as "hair_region".
"""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One column of the tables.

    direction: "↑" = more is better, "↓" = less is better. unit, digits: how a value is shown.
    network: a key of `judges.NETWORKS`, "" where no network is behind the metric.
    region: one of REGIONS, where only this part of the picture is compared; "" = all of it.
    note: one sentence for the report that says what is measured.
    pair: gives one value for each pair, (B,); the table holds the mean.
    needs: what a pair must have. Without it the pair has no value and is left out of the mean.
    pooled: gives one value for all pairs of a mode. A metric has either `pair` or `pooled`.
    """

    name: str
    direction: Literal["↑", "↓"]
    unit: str = ""
    digits: int
    network: str = ""
    region: str = ""
    note: str
    pair: Callable[[Comparison], Tensor] | None = None
    needs: tuple[Need, ...] = ()
    pooled: Callable[[Pool], float | None] | None = None

    @property
    def table(self) -> str:
        """The table of the report that has the metric: one of TABLES."""
        if self.region:
            return "Regions"
        return "Faces" if self.network in ("identity", "tracker") else "Pictures"

    @property
    def header(self) -> str:
        return f"{self.name}{self.direction}" + (f" ({self.unit})" if self.unit else "")


TABLES = ("Pictures", "Regions", "Faces")
TRACES: dict[str, Callable[[FaceReading], Tensor]] = {
    "yaw": lambda face: torch.rad2deg(face.rotation[:, 0]),
    "pitch": lambda face: torch.rad2deg(face.rotation[:, 1]),
    "jaw": lambda face: face.expression[:, JAW],
    "blink": lambda face: face.expression[:, BLINKS].mean(1),
}
"""Values (B,) that are read from every face and correlated over all pairs."""


def found_rate(pool: Pool) -> float | None:
    """Share ↑ of the pictures in which a face was found, in per cent."""
    found = [100.0 * reading["found"] for reading in pool.readings]
    return sum(found) / len(found) if found else None


def picture_distance(pool: Pool, network: str) -> float | None:
    """Fréchet distance ↓ of the features of single pictures."""
    features = pool.features(network)
    return None if features is None else frechet_distance(*features)


def video_distance(pool: Pool, network: str) -> float | None:
    """Fréchet distance ↓ of `video_features`, from the videos with at least two measured frames."""
    features = pool.features(network)
    rows = [list(video) for video in pool.videos if len(video) > 1]
    if features is None or len(rows) < 2:
        return None
    a, b = (torch.stack([video_features(part[r]) for r in rows]) for part in features)
    return frechet_distance(a, b)


def window_distance(pool: Pool) -> float | None:
    """Fréchet distance ↓ of I3D features of whole windows of frames; None below two windows."""
    features = pool.clip_features()
    return None if features is None or len(features[0]) < 2 else frechet_distance(*features)


def trace_correlation(pool: Pool, trace: str) -> float | None:
    """Correlation ↑ over the pairs in which both faces were found."""
    both = [
        (reading[trace], reference[trace])
        for reading, reference in zip(pool.readings, pool.references, strict=True)
        if reading["found"] and reference["found"]
    ]
    return correlation(torch.tensor([x for x, _ in both]), torch.tensor([y for _, y in both]))


METRICS: tuple[Metric, ...] = (
    Metric(
        name="l1",
        direction="↓",
        unit="0 to 1",
        digits=4,
        note="the mean difference from the true picture, RGB from 0 to 1.",
        pair=lambda c: l1(c.prediction, c.reference),
        needs=("truth",),
    ),
    Metric(
        name="psnr",
        direction="↑",
        unit="dB",
        digits=2,
        note="the peak signal-to-noise ratio against the true picture.",
        pair=lambda c: psnr(c.prediction, c.reference),
        needs=("truth",),
    ),
    Metric(
        name="ssim",
        direction="↑",
        digits=3,
        note="the structural similarity with the true picture (window of 11 × 11 pixels).",
        pair=lambda c: ssim(c.prediction, c.reference),
        needs=("truth",),
    ),
    Metric(
        name="lpips",
        direction="↓",
        digits=3,
        network="lpips",
        note="the perceptual distance LPIPS 0.1 from the true picture.",
        pair=lambda c: _network(c.lpips).distance(c.prediction, c.reference),
        needs=("truth", "lpips"),
    ),
    Metric(
        name="efflpips",
        direction="↓",
        digits=3,
        network="effnet",
        note="a perceptual distance from the true picture. It is not comparable with LPIPS.",
        pair=lambda c: c.effnet.distance(c.prediction, c.reference),
        needs=("truth",),
    ),
    Metric(
        name="csim",
        direction="↑",
        digits=3,
        network="identity",
        note="the cosine of the identity embeddings of prediction and source.",
        pair=lambda c: csim(c.face.identity, c.source_face.identity),
        needs=("face", "source_face"),
    ),
    Metric(
        name="apd",
        direction="↓",
        unit="°",
        digits=2,
        network="tracker",
        note="the average pose distance: the mean difference of yaw, pitch and roll.",
        pair=lambda c: apd(c.face.rotation, c.reference_face.rotation),
        needs=("face", "reference_face"),
    ),
    Metric(
        name="aed",
        direction="↓",
        unit="× 100",
        digits=2,
        network="tracker",
        note=(
            "AED here is the expression distance: the mean difference of 52 coefficients. The FOMM "
            "family uses the name for an identity distance."
        ),
        pair=lambda c: aed(c.face.expression, c.reference_face.expression),
        needs=("face", "reference_face"),
    ),
    Metric(
        name="gaze_error",
        direction="↓",
        unit="°",
        digits=2,
        network="tracker",
        note="the angle between the gaze directions, each relative to its own head.",
        pair=lambda c: gaze_error(c.face.gaze, c.reference_face.gaze),
        needs=("face", "reference_face"),
    ),
    Metric(
        name="nme",
        direction="↓",
        unit="%",
        digits=2,
        network="tracker",
        note=(
            "the mean error of 68 landmarks, in per cent of the distance between the outer eye "
            "corners."
        ),
        pair=lambda c: nme(c.face.landmarks, c.reference_face.landmarks),
        needs=("truth", "face", "reference_face"),
    ),
    Metric(
        name="fid",
        direction="↓",
        digits=1,
        network="inception",
        note="the Fréchet distance of Inception features, predictions against true pictures.",
        pooled=lambda pool: picture_distance(pool, "inception"),
    ),
    Metric(
        name="fvd",
        direction="↓",
        digits=0,
        network="i3d",
        note="the Fréchet distance of I3D features of whole windows of frames of one clip.",
        pooled=window_distance,
    ),
    Metric(
        name="efffid",
        direction="↓",
        digits=2,
        network="effnet",
        note="the Fréchet distance of EfficientNet features. It is not comparable with FID.",
        pooled=lambda pool: picture_distance(pool, "effnet"),
    ),
    Metric(
        name="effvd",
        direction="↓",
        digits=2,
        network="effnet",
        note=(
            "the Fréchet distance of video features: the mean over the frames and the mean change "
            "between frames. It is not comparable with FVD."
        ),
        pooled=lambda pool: video_distance(pool, "effnet"),
    ),
    Metric(
        name="found",
        direction="↑",
        unit="%",
        digits=1,
        network="tracker",
        note="the share of predictions with a face. Face metrics are means over these.",
        pooled=found_rate,
    ),
    *(
        Metric(
            name=f"l1_{region}",
            direction="↓",
            unit="0 to 1",
            digits=4,
            region=region,
            note=f"l1 over the {region} of the true picture.",
            pair=lambda c, k=k: l1_in(c.prediction, c.reference, c.regions[:, k]),  # type: ignore[misc]
            needs=("truth", f"{region}_region"),
        )
        for k, region in enumerate(REGIONS)
    ),
    *(
        Metric(
            name=f"lpips_{region}",
            direction="↓",
            digits=3,
            network="lpips",
            region=region,
            note=f"lpips over the {region} of the true picture.",
            pair=lambda c, k=k: c.lpips_in_regions[:, k],  # type: ignore[misc]
            needs=("truth", "lpips", f"{region}_region"),
        )
        for k, region in enumerate(REGIONS)
    ),
    *(
        Metric(
            name=f"{trace}_correlation",
            direction="↑",
            digits=3,
            network="tracker",
            note=f"the correlation of {trace} between predictions and true pictures.",
            pooled=lambda pool, trace=trace: trace_correlation(pool, trace),  # type: ignore[misc]
        )
        for trace in TRACES
    ),
)
PAIR_METRICS = tuple(metric for metric in METRICS if metric.pair is not None)
BY_NAME = {metric.name: metric for metric in METRICS}


def _network(net: PerceptualDistance | None) -> PerceptualDistance:
    assert net is not None, "the metric needs a network that is not there"
    return net
