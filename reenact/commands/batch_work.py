"""The work of the command `batch`: each source with each target."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reenact.errors import UserError
from reenact.face.stack import SourceFace
from reenact.inference.inputs import (
    Opened,
    check_transparency,
    find_sources,
    keeping_alpha,
    open_source,
    open_target,
    read_source,
    track_source,
    track_targets,
)
from reenact.inference.motion import Motion
from reenact.inference.paths import default_output
from reenact.inference.pipeline import animate_to_file, shows_one_picture, video_to_file
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.inference.shipped_motions import is_shipped, shipped_motion
from reenact.inference.video_source import check_video_source
from reenact.media.animation import is_photo
from reenact.media.clip import MediaClip
from reenact.media.formats import holds_alpha


@dataclass
class Table:
    """A line for each source and target, and which result belongs to which of them."""

    lines: list[str] = field(default_factory=list)
    num_failed: int = 0
    pair_of_result: dict[Path, str] = field(default_factory=dict)

    def check_name(self, output: Path, source: Path, target: str) -> None:
        """Raises UserError if the result of another source and target has this path."""
        pair = f"{source} x {target}"
        if self.pair_of_result.setdefault(output, pair) != pair:
            raise UserError(
                f"{output} is the result of {self.pair_of_result[output]}, rename one of the files"
            )

    def made(self, source: Path, target: str, text: str) -> None:
        self.lines.append(f"ok     {source} x {target}: {text}")

    def failed(self, source: Path, target: str, error: UserError) -> None:
        self.lines.append(f"FAILED {source} x {target}: {error}")
        self.num_failed += 1


@dataclass(kw_only=True)
class BatchWork:
    """Sources, and where and how their results are written.

    for_shipped: the settings for motions that ship with the package.
    video_format: the ending of videos, such as "webm"; None = the usual one.
    own_motions, faces: what was found in source videos and photos, kept for the next target.
        Whether a photo keeps its transparency depends on the result, which is the second key.
    """

    settings: InferRun
    for_shipped: InferRun
    sources: list[Path]
    folder: Path
    video_format: str | None
    table: Table = field(default_factory=Table)
    own_motions: dict[Path, Motion] = field(default_factory=dict)
    faces: dict[tuple[Path, bool], list[SourceFace[Any]]] = field(default_factory=dict)

    def output_of(self, path: Path, target: Path, *, is_picture: bool) -> Path:
        """The file of a result."""
        name = default_output(path, target, self.settings, is_picture=is_picture).name
        output = self.folder / name
        if self.video_format and not is_picture:
            output = output.with_suffix(f".{self.video_format}")
        return output

    def animate_all(self, reenactor: Reenactor, name: str) -> None:
        """All sources with one target. What is wrong with it is a failure of each source."""
        try:
            self._animate_all(reenactor, name)
        except UserError as error:
            for path in self.sources:
                self.table.failed(path, name, error)

    def _animate_all(self, reenactor: Reenactor, name: str) -> None:
        target = shipped_motion(name) if is_shipped(name) else Path(name)
        clip = open_target(target, self.settings)
        still = shows_one_picture(clip)
        outputs = {
            path: self.output_of(path, target, is_picture=still and is_photo(path))
            for path in self.sources
        }
        motions = None
        if not all(output.exists() for output in outputs.values()):
            motions = track_targets(reenactor, [clip], [target], self.settings)
        for path, output in outputs.items():
            try:
                self.table.check_name(output, path, name)
                if motions is None or output.exists():
                    self.table.made(path, name, f"{output} was there already")
                    continue
                started = time.perf_counter()
                run = self.for_shipped if is_shipped(name) else self.settings
                self._animate(reenactor, path, clip, motions, output, run)
                self.table.made(path, name, f"{output} {time.perf_counter() - started:.1f} s")
            except UserError as error:
                self.table.failed(path, name, error)

    def _animate(
        self,
        reenactor: Reenactor,
        path: Path,
        clip: Opened,
        motions: list[Motion],
        output: Path,
        run: InferRun,
    ) -> None:
        """One source with one target."""
        if not is_photo(path):
            check_video_source(len(motions), run)
            check_transparency(output, run)
            source = open_source(path, run)
            assert isinstance(source, MediaClip)
            if path not in self.own_motions:
                self.own_motions[path] = track_source(reenactor, source, path, run)
            own = self.own_motions[path]
            video_to_file(reenactor, source, own, motions[0], clip, output, run)
            return
        key = path, holds_alpha(output)
        if key not in self.faces:
            photo = read_source(path, output, run)
            self.faces[key] = find_sources(reenactor, photo, path, run)
        run = keeping_alpha(run, self.faces[key], reenactor)
        animate_to_file(reenactor, self.faces[key], motions, [clip], output, run)
