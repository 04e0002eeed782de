"""The settings of one `eval.py` run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from diffae.schedule import respaced_timesteps
from reenact.evaluation.pairs import PairConfig
from reenact.inference.reenactor import ReenactorConfig


@dataclass(frozen=True, kw_only=True)
class ClipsConfig:
    """The synthetic clips of held-out people; missing ones are generated at the model's size.

    folder: where they lie. num_clips: clips used. frames: frames a clip. cross: rendered truths of
    cross-reenactment a clip. seed: another seed gives other clips. num_workers: for generating.
    """

    folder: Path
    num_clips: int = 50
    frames: int = 16
    cross: int = 8
    seed: int = 0
    num_workers: int = 2

    def __post_init__(self) -> None:
        for name in ("num_clips", "num_workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.frames < 2:
            raise ValueError(f"frames: a self pair needs at least 2, got {self.frames}")
        if self.cross < 0:
            raise ValueError(f"cross: must not be negative, got {self.cross}")


@dataclass(frozen=True, kw_only=True)
class EvalRun:
    """One evaluation. Running the same config again continues where it stopped.

    weights: checkpoint of the reenactor; null = the shipped one. output: folder of the records,
    the pictures and the reports. report_json: where the numbers go (null: `output`/report.json).
    params: where the reenactor gets pose and expression of source and target from: "truth" = the
    parameters that the clips were rendered with (judges the networks alone), "tracked" = the
    tracker's own reading of the crops (judges the chain that a user runs).
    num_examples: rows of pictures a mode. oracle_steps: DDIM steps of the oracle, each way.
    """

    weights: Path | None = None
    data: ClipsConfig
    output: Path
    report_json: Path | None = None
    params: Literal["truth", "tracked"] = "truth"
    num_examples: int = 12
    oracle_steps: int = 20
    pairs: PairConfig = field(default_factory=PairConfig)
    reenactor: ReenactorConfig = field(default_factory=ReenactorConfig)

    def __post_init__(self) -> None:
        if self.num_examples < 0:
            raise ValueError(f"num_examples: must not be negative, got {self.num_examples}")
        respaced_timesteps(self.oracle_steps)

    @property
    def json_path(self) -> Path:
        return self.report_json or self.output / "report.json"

    def with_output(self, folder: Path) -> "EvalRun":
        """The same run with everything written to `folder`."""
        return replace(self, output=folder, report_json=folder / self.json_path.name)
