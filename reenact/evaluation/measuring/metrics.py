"""The metrics of the report, one record each.

To add a metric, write its function in `formulas.py` (a value for each pair) or `pooled.py` (a value
for all pairs together), and append a `Metric` to `METRICS`. All tables, files and notes of the
report follow from the record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from reenact.evaluation.measuring.comparison import Comparison, PerceptualDistance, Pool
from reenact.evaluation.measuring.formulas import (
    aed,
    apd,
    csim,
    gaze_error,
    l1,
    l1_in,
    nme,
    psnr,
    ssim,
)
from reenact.evaluation.measuring.pooled import (
    TRACES,
    found_rate,
    picture_distance,
    trace_correlation,
    video_distance,
    window_distance,
)
from reenact.evaluation.methods.batches import REGIONS

TABLES = ("Pictures", "Regions", "Faces")
LEAST_REGION = 0.002
"""A region that covers less of the true picture than this share is not measured."""
PLACES = {name: f"the {name} of the true picture" for name in REGIONS} | {
    "hidden": "what the true picture shows of the person and the source picture does not"
}
"""The regions in the words of the notes."""
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
            note=f"l1 over {PLACES[region]}.",
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
            note=f"lpips over {PLACES[region]}.",
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
