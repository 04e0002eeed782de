"""Animate many photos or videos with many targets: each source with each target.

Results that are there already are left out: the same command continues a stopped run. A table at
the end says what failed.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reenact.commands.animating import (
    EXPERT,
    RELATIVE,
    add_part,
    add_rendering,
    add_usual_groups,
    given_options,
)
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import UserError, say
from reenact.inference.shipped_motions import is_shipped, shipped_motion
from reenact.media.formats import FORMATS, holds_alpha


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s --sources S ... --targets T ... --out DIR [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument(
        "--sources", nargs="+", type=Path, required=True, metavar="FILE", help="photos or videos"
    )
    text = "videos, pictures, motion files, or @names"
    everyday.add_argument("--targets", nargs="+", required=True, metavar="TARGET", help=text)
    everyday.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the results"
    )
    add_part(everyday)
    output = add_usual_groups(parser)
    output.add_argument(
        "--format",
        choices=[suffix[1:] for suffix in FORMATS],
        metavar="FORMAT",
        help=f"of videos: {', '.join(suffix[1:] for suffix in FORMATS)} (default: mp4, webm if "
        "transparent)",
    )
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_rendering(expert)
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    from reenact.face.stack import SourceFace
    from reenact.files import make_folder
    from reenact.inference.inputs import (
        Opened,
        check_transparency,
        find_sources,
        keeping_alpha,
        load_for,
        open_source,
        open_target,
        read_source,
        track_source,
        track_targets,
    )
    from reenact.inference.motion import Motion
    from reenact.inference.paths import default_output
    from reenact.inference.pipeline import animate_to_file, shows_one_picture, video_to_file
    from reenact.inference.run_config import InferRun
    from reenact.inference.video_source import check_video_source
    from reenact.media.animation import is_photo
    from reenact.media.clip import MediaClip
    from reenact.media.content_credentials import check_signing

    options = given_options(arguments)
    settings = read_config(arguments, InferRun, options)
    for_shipped = read_config(arguments, InferRun, RELATIVE | options)
    sources = list(dict.fromkeys(arguments.sources))
    own_motions: dict[Path, Motion] = {}  # of source videos
    # Of photos. Whether a photo keeps its transparency depends on the kind of the result.
    faces: dict[tuple[Path, bool], list[SourceFace[Any]]] = {}

    def output_of(path: Path, target: Path, *, is_picture: bool) -> Path:
        name = default_output(path, target, settings, is_picture=is_picture).name
        output: Path = arguments.out / name
        if arguments.format and not is_picture:
            output = output.with_suffix(f".{arguments.format}")
        return output

    example = output_of(Path("a"), Path("b"), is_picture=False)
    check_signing(example, settings.c2pa_certificate, settings.c2pa_key)
    make_folder(arguments.out)
    reenactor = load_for(settings, arguments.device)

    def animate(
        path: Path, clip: Opened, motions: list[Motion], output: Path, settings: InferRun
    ) -> None:
        if not is_photo(path):
            check_video_source(len(motions), settings)
            check_transparency(output, settings)
            source = open_source(path, settings)
            assert isinstance(source, MediaClip)
            if path not in own_motions:
                own_motions[path] = track_source(reenactor, source, path, settings)
            own = own_motions[path]
            video_to_file(reenactor, source, own, motions[0], clip, output, settings)
            return
        key = path, holds_alpha(output)
        if key not in faces:
            photo = read_source(path, output, settings)
            faces[key] = find_sources(reenactor, photo, path, settings)
        run = keeping_alpha(settings, faces[key], reenactor)
        animate_to_file(reenactor, faces[key], motions, [clip], output, run)

    table = Table()

    def animate_all(name: str) -> None:
        """All sources with one target. Raises UserError for what is wrong with the target."""
        target = shipped_motion(name) if is_shipped(name) else Path(name)
        clip = open_target(target, settings)
        still = shows_one_picture(clip)
        outputs = {
            path: output_of(path, target, is_picture=still and is_photo(path)) for path in sources
        }
        motions = None
        if not all(output.exists() for output in outputs.values()):
            motions = track_targets(reenactor, [clip], [target], settings)
        for path, output in outputs.items():
            try:
                table.check_name(output, path, name)
                if motions is None or output.exists():
                    table.made(path, name, f"{output} was there already")
                    continue
                started = time.perf_counter()
                run = for_shipped if is_shipped(name) else settings
                animate(path, clip, motions, output, run)
                table.made(path, name, f"{output} {time.perf_counter() - started:.1f} s")
            except UserError as error:
                table.failed(path, name, error)

    try:
        for name in dict.fromkeys(arguments.targets):
            try:
                animate_all(name)
            except UserError as error:
                for path in sources:
                    table.failed(path, name, error)
    finally:  # Ctrl-C also shows what is done
        for line in table.lines:
            say(line)
    if table.num_failed:
        raise UserError(
            f"{table.num_failed} of {len(table.lines)} results could not be made, see the lines "
            "above"
        )


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
