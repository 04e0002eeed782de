"""The settings of one `eval.py` run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from diffae.schedule import respaced_timesteps
from reenact.evaluation.clips import ClipsConfig
from reenact.evaluation.measuring.judges import JudgeConfig
from reenact.evaluation.methods.methods import VARIANTS, Variant
from reenact.evaluation.pairing.pairs import PairListConfig
from reenact.face.factory import FaceConfig
from reenact.inference.config import ReenactorConfig


@dataclass(frozen=True, kw_only=True)
class EvalRun:
    """One evaluation. Running the same config again continues where it stopped.

    weights: checkpoint of the reenactor; null = the one made for the face stack: the shipped one,
    or the authors'.
    face: which face stack reads and draws faces.
    predictions: a folder of results of any method (see `predictions.py`); no weights are loaded.
    label: what the result is called in the reports.
    output: folder of the records, the pictures and the reports. report_json: where the numbers go
    (null: `output`/report.json). params: where the reenactor gets pose and expression from:
    "stored" = what lies with the clips (the truth of synthetic clips: judges the networks alone;
    what the tracker read from the full frames of prepared ones), "tracked" = what the face stack
    reads from each crop on its own.
    variants: rows of the tables; "copy_source" is the floor, "oracle" (the DiffAE given the code
    of the true picture, `oracle_steps` DDIM steps each way) the ceiling.
    num_examples: rows of pictures a mode. save_predictions: keep every result as PNG.
    published: print the published table beside the result.
    """

    weights: Path | None = None
    face: FaceConfig = field(default_factory=FaceConfig)
    predictions: Path | None = None
    label: str = "ours"
    data: ClipsConfig
    output: Path
    report_json: Path | None = None
    params: Literal["stored", "tracked"] = "stored"
    variants: list[Variant] = field(default_factory=lambda: list(VARIANTS))
    num_examples: int = 12
    oracle_steps: int = 20
    save_predictions: bool = False
    published: bool = False
    pairs: PairListConfig = field(default_factory=PairListConfig)
    judges: JudgeConfig = field(default_factory=JudgeConfig)
    reenactor: ReenactorConfig = field(default_factory=ReenactorConfig)

    def __post_init__(self) -> None:
        if self.num_examples < 0:
            raise ValueError(f"num_examples: must not be negative, got {self.num_examples}")
        if not self.label.strip():
            raise ValueError("label: must not be empty")
        if "ours" not in self.variants or len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants: must hold 'ours', each once, got {self.variants}")
        respaced_timesteps(self.oracle_steps)

    @property
    def json_path(self) -> Path:
        return self.report_json or self.output / "report.json"

    @property
    def shown_variants(self) -> list[str]:
        """Those that can be made, in the order of the tables: a folder of results has no oracle."""
        made = [name for name in VARIANTS if name in self.variants]
        return [name for name in made if name != "oracle" or self.predictions is None]

    @property
    def keeps_predictions(self) -> bool:
        """fvd is measured on whole videos, which are read back."""
        return self.predictions is None and (self.save_predictions or self.judges.i3d is not None)

    def with_output(self, folder: Path) -> "EvalRun":
        """The same run with everything written to `folder`."""
        return replace(self, output=folder, report_json=folder / self.json_path.name)

    def with_predictions(self, folder: Path) -> "EvalRun":
        """The same run on a folder of results, called after it where no name was given."""
        label = folder.resolve().name if self.label == "ours" else self.label
        return replace(self, predictions=folder, label=label)
