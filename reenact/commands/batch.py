"""Animate many photos or videos with many targets: each source with each target.

The networks are loaded once, and each target is tracked once. Results that are there already are
left out, so the same command continues a run that was stopped. A table at the end says what failed.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from reenact.commands.animating import (
    add_frames,
    add_motion,
    add_part,
    add_playing,
    add_rendering,
    add_smoothing,
    add_source_face,
    add_target_face,
    add_video,
    given_options,
)
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.commands.motion import shipped_motion
from reenact.errors import UserError, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sources", nargs="+", type=Path, required=True, help="photos or videos")
    parser.add_argument(
        "--targets", nargs="+", required=True, help="videos, pictures, motion files, @names"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    motion = parser.add_argument_group("motion")
    add_part(motion)
    add_motion(motion)
    add_smoothing(motion)
    add_playing(motion)
    faces = parser.add_argument_group("faces")
    add_source_face(faces)
    add_target_face(faces)
    output = parser.add_argument_group("output")
    add_frames(output)
    add_video(output)
    expert = parser.add_argument_group("expert")
    add_config(expert, default="embedded/infer")
    add_rendering(expert)
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    from reenact.files import make_folder
    from reenact.inference.inputs import (
        find_sources,
        keeping_alpha,
        load_for,
        open_source,
        open_target,
        read_source,
        track_source,
        track_targets,
    )
    from reenact.inference.paths import default_output
    from reenact.inference.pipeline import animate_to_file, video_to_file
    from reenact.inference.run_config import InferRun
    from reenact.media.animation import is_photo
    from reenact.media.clip import MediaClip
    from reenact.media.content_credentials import check_signing

    settings = read_config(arguments, InferRun, given_options(arguments))
    targets = [
        shipped_motion(name) if name.startswith("@") else Path(name) for name in arguments.targets
    ]
    check_signing(arguments.out / "result.mp4", settings.c2pa_certificate, settings.c2pa_key)
    make_folder(arguments.out)
    reenactor = load_for(settings, arguments.device)
    known: dict[Path, Any] = {}  # the faces of photos, and the motions of source videos

    def animate(path: Path, clip: Any, motions: Any, output: Path) -> None:
        if not is_photo(path):
            source = open_source(path, settings)
            assert isinstance(source, MediaClip)
            if path not in known:
                known[path] = track_source(reenactor, source, path, settings)
            own = known[path]
            video_to_file(reenactor, source, own, motions[0], clip, output, settings)
            return
        if path not in known:
            photo = read_source(path, output, settings)
            known[path] = find_sources(reenactor, photo, path, settings)
        run = keeping_alpha(settings, known[path], reenactor)
        animate_to_file(reenactor, known[path], motions, [clip], output, run)

    rows: list[tuple[str, str, Path | None, str]] = []
    for target in targets:
        try:
            clip = open_target(target, settings)
            motions = track_targets(reenactor, [clip], [target], settings)
        except UserError as error:
            rows += [(path.name, target.name, None, str(error)) for path in arguments.sources]
            continue
        for path in arguments.sources:
            started = time.perf_counter()
            is_picture = motions[0].is_picture and is_photo(path)
            output: Path | None = (
                arguments.out / default_output(path, target, is_picture=is_picture).name
            )
            assert output is not None
            try:
                if output.exists():
                    verdict = "was there already"
                else:
                    animate(path, clip, motions, output)
                    verdict = f"{time.perf_counter() - started:.1f} s"
            except UserError as error:
                output, verdict = None, str(error)
            rows.append((path.name, target.name, output, verdict))
    for source, name, output, verdict in rows:
        say(f"{'ok    ' if output else 'FAILED'} {source} x {name}: {output or ''} {verdict}")
    failed = sum(output is None for *_, output, _ in rows)
    if failed:
        raise UserError(f"{failed} of {len(rows)} results could not be made, see the lines above")
