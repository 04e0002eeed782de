"""Animate the face of a photo with a camera, as it happens.

Keys in the window: q ends, r takes the present face as the person to follow and as the neutral one,
m mirrors the camera, s saves a still. Sit still and look neutral at the start.
"""

import argparse
from pathlib import Path

from reenact.commands.animating import (
    EXPERT,
    FACES,
    MOTION,
    OUTPUT,
    RELATIVE,
    add_frames,
    add_motion,
    add_rendering,
    add_smoothing,
    add_source_face,
    add_target_face,
    given_options,
)
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import UsageError, UserError, say
from reenact.files import check_input_file, check_output_path

CAMERA_RATE = 25  # frames per second of a recording of a camera


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s SOURCE [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument(
        "source", type=Path, metavar="SOURCE", help="photo of the face to animate"
    )
    everyday.add_argument(
        "--camera", type=int, metavar="N", help="number of the camera (default: 0)"
    )
    everyday.add_argument(
        "--input", type=Path, metavar="VIDEO", help="play it in real time (default: the camera)"
    )
    everyday.add_argument("--mirror", action="store_true", help="mirror the camera")
    everyday.add_argument(
        "--output", type=Path, metavar="FILE", help="video to record in (default: none)"
    )
    everyday.add_argument(
        "--no-window", action="store_true", help="show nothing; Ctrl-C ends (with --output)"
    )
    everyday.add_argument(
        "--virtual-camera", action="store_true", help="a camera that other programs can use"
    )
    motion = parser.add_argument_group("motion", f"{MOTION}; relative by default")
    add_motion(motion)
    add_smoothing(motion)
    faces = parser.add_argument_group("faces", FACES)
    add_source_face(faces)
    add_target_face(faces)
    add_frames(parser.add_argument_group("output", OUTPUT))
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_rendering(expert)
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    if arguments.camera is not None and arguments.input is not None:
        raise UsageError("give --camera or --input, not both")
    if arguments.no_window and arguments.output is None and not arguments.virtual_camera:
        raise UsageError("--no-window shows nothing: give --output or --virtual-camera too")
    check_input_file(arguments.source)
    if arguments.input is not None:
        check_input_file(arguments.input)
    if arguments.output is not None:
        check_output_path(arguments.output, makes_folders=True)
        for path in (arguments.source, arguments.input):
            if path is not None and path.resolve() == arguments.output.resolve():
                raise UserError(f"{arguments.output}: would overwrite an input")
    from fractions import Fraction

    from reenact.inference.inputs import find_source, load_for
    from reenact.inference.motion_file import is_motion_path
    from reenact.inference.run_config import InferRun
    from reenact.live.camera import open_camera
    from reenact.live.feed import ClipFeed, Feed, NewestFeed, RealClock
    from reenact.live.run import run_live
    from reenact.live.sinks import Recording, Sink, VirtualCamera, Window
    from reenact.media.animation import is_still, open_clip
    from reenact.media.content_credentials import check_signing, sign_result
    from reenact.media.images import read_frame

    settings = read_config(arguments, InferRun, RELATIVE | given_options(arguments))
    clip, rate = None, Fraction(CAMERA_RATE)
    if arguments.input is not None:
        if is_motion_path(arguments.input):
            raise UserError(
                f"{arguments.input}: has no pictures, use it with `python -m reenact infer`"
            )
        if is_still(arguments.input):
            raise UserError(f"{arguments.input}: is a picture, give a video")
        clip = open_clip(arguments.input, fps=None)
        rate = clip.fps
    sinks: list[Sink] = []
    if arguments.output is not None:
        check_signing(arguments.output, settings.c2pa_certificate, settings.c2pa_key)
        sounding = None if settings.sound == "none" else clip
        sinks.append(Recording(arguments.output, rate, sounding))
    if arguments.virtual_camera:
        sinks.append(VirtualCamera(rate))
    if not arguments.no_window:
        sinks.append(Window(f"DiffusionAct: {arguments.source.name}"))
    camera = None if clip is not None else open_camera(arguments.camera or 0)
    reenactor = load_for(settings, arguments.device)
    photo = read_frame(arguments.source)
    source = find_source(reenactor, photo, arguments.source, settings)
    clock = RealClock()
    feed: Feed
    if clip is not None:
        feed = ClipFeed(clip, clock)
    else:
        assert camera is not None
        feed = NewestFeed(camera, clock)
    report = run_live(reenactor, source, feed, sinks, settings, clock, mirror=arguments.mirror)
    if arguments.output is not None and report.num_frames:
        sign_result(arguments.output, settings.c2pa_certificate, settings.c2pa_key)
        say(f"{arguments.output}: recorded")
    say(report.line())
