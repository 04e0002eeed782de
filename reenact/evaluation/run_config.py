"""The settings of one `eval.py` run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from diffae.schedule import respaced_timesteps
from reenact.errors import UserError
from reenact.evaluation.clips import ClipsConfig
from reenact.evaluation.measuring.judges import JudgeConfig
from reenact.evaluation.methods.methods import DEFAULT_VARIANTS, VARIANTS, Variant
from reenact.evaluation.pairing.pairs import PairListConfig
from reenact.face.factory import FaceConfig
from reenact.inference.config import ReenactorConfig
from reenact.ranges import Checked, CountOrZero


@dataclass(frozen=True, kw_only=True)
class EvalRun(Checked):
    """One evaluation. The same config again continues where it stopped.

    weights: checkpoint of the reenactor; null = the one that was made for the face stack: the
        shipped one, or the authors'.
    face: which face stack reads and draws faces.
    predictions: results of other methods, as name: folder. Each gets a row of the tables.
    label: the name of the reenactor in the report.
    data: the clips.
    output: folder of everything that is measured. Each report gets its own folder there, which is
        named by the config and by the content.
    publish_to: the file that `--publish` writes the numbers to; null = none.
    params: where the reenactor gets pose and expression from. "stored" takes what is stored with
        the clips: the truth of synthetic clips, or what the tracker read from the full frames.
        "tracked" takes what the face stack reads from each crop on its own.
    variants: our rows of the tables. "networks" is the networks' picture, before it is composed
        with the photo. "warp_only" is the moved photo without the networks' picture.
        "copy_source" is the source picture itself. "oracle" is the DiffAE given the code of the
        true picture.
    num_examples: rows of pictures for each mode, spread evenly over the pairs.
    num_worst: rows of pictures for each mode with the largest errors.
    num_videos: videos for each of self and cross that show the results side by side as they move.
    oracle_steps: DDIM steps of the oracle each way.
    save_predictions: keep every result of the reenactor as PNG.
    published: print the published table beside the result.
    pairs: which frames meet.
    judges: which networks measure.
    reenactor: how the reenactor renders.
    """

    weights: Path | None = None
    face: FaceConfig = field(default_factory=FaceConfig)
    predictions: dict[str, Path] = field(default_factory=dict)
    label: str = "ours"
    data: ClipsConfig
    output: Path
    publish_to: Path | None = None
    params: Literal["stored", "tracked"] = "stored"
    variants: list[Variant] = field(default_factory=lambda: list(DEFAULT_VARIANTS))
    num_examples: CountOrZero = 12
    num_worst: CountOrZero = 4
    num_videos: CountOrZero = 2
    oracle_steps: int = 20
    save_predictions: bool = False
    published: bool = False
    pairs: PairListConfig = field(default_factory=PairListConfig)
    judges: JudgeConfig = field(default_factory=JudgeConfig)
    reenactor: ReenactorConfig = field(default_factory=ReenactorConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.label.strip():
            raise ValueError("label: must not be empty")
        if len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants: each only once, got {self.variants}")
        if "ours" not in self.variants and (
            not self.predictions or {"oracle", "networks", "warp_only"} & set(self.variants)
        ):
            raise ValueError(
                f"variants: must hold 'ours' unless only predictions are measured, got "
                f"{self.variants}"
            )
        for name in self.predictions:
            if name in (*VARIANTS, "reference", self.label) or not name or "/" in name:
                raise ValueError(f"predictions: {name!r} cannot be the name of another method")
        respaced_timesteps(self.oracle_steps)

    @property
    def our_rows(self) -> tuple[str, ...]:
        """The rows that the reenactor gives, in the order of the tables; empty without "ours"."""
        rows = tuple(name for name in VARIANTS if name in self.variants)
        return rows if "ours" in rows else ()

    @property
    def keeps_predictions(self) -> bool:
        """Whether our results are written. fvd is measured on whole videos, which are read back."""
        return self.save_predictions or self.judges.i3d is not None

    def with_predictions(self, text: str) -> "EvalRun":
        """The same run with one more method. text: NAME=DIR, or DIR, whose name it then gets."""
        name, equals, folder = text.partition("=")
        if not equals:
            name, folder = Path(text).resolve().name, text
        if name in self.predictions:
            raise UserError(f"--predictions {text}: there are two methods of the name {name}")
        try:
            return replace(self, predictions=self.predictions | {name: Path(folder)})
        except ValueError as error:
            raise UserError(f"--predictions {text}: {error}") from error

    def without_ours(self) -> "EvalRun":
        """The same run without our reenactor and its oracle. Raises UserError."""
        try:
            return replace(self, variants=[v for v in self.variants if v == "copy_source"])
        except ValueError as error:
            raise UserError("--only-predictions: give --predictions NAME=DIR too") from error
