"""Change pose and expression of a photo: python -m reenact pose photo.jpg --yaw 15

Angles are in degrees. Right is the right of the picture. 0 changes nothing.
"""

import argparse
from pathlib import Path

from reenact.commands.animating import (
    EXPERT,
    FACES,
    OUTPUT,
    add_frames,
    add_rendering,
    add_source_face,
    given_options,
)
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import say
from reenact.files import check_input_file, check_output_path, make_folder, shortened
from reenact.media.formats import WRITABLE_SUFFIXES

ANGLES = {
    "yaw": "turn of the head to the right",
    "pitch": "turn of the head up",
    "roll": "turn of the head clockwise",
    "gaze-yaw": "turn of the eyes to the right",
    "gaze-pitch": "turn of the eyes up",
}
SHARES = {
    "smile": "mouth corners, from -1 (down) to 1 (up)",
    "open-mouth": "opening of the jaw, from 0 to 1",
    "blink": "closing of both lids, from 0 to 1",
    "brow": "brows, from -1 (down) to 1 (up)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s SOURCE [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument("source", type=Path, metavar="SOURCE", help="photo of the face")
    everyday.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="picture to write (default: results/SOURCE_posed.png)",
    )
    for name, text in (ANGLES | SHARES).items():
        everyday.add_argument(
            f"--{name}",
            type=float,
            default=0.0,
            metavar="DEGREES" if name in ANGLES else "SHARE",
            help=f"{text} (default: 0)",
        )
    add_source_face(parser.add_argument_group("faces", FACES))
    add_frames(parser.add_argument_group("output", OUTPUT))
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_rendering(expert)
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    check_input_file(arguments.source)
    stem = shortened(arguments.source.stem, 200)
    output = arguments.output or Path("results") / f"{stem}_posed.png"
    check_output_path(output, WRITABLE_SUFFIXES, makes_folders=True)
    from reenact.face.control import Sliders
    from reenact.inference.inputs import find_source, keeping_alpha, load_for, read_source
    from reenact.inference.run_config import InferRun, animate_options
    from reenact.media.content_credentials import check_signing, sign_result
    from reenact.media.images import write_frame
    from reenact.media.label import labelled

    names = [name.replace("-", "_") for name in (*ANGLES, *SHARES)]
    sliders = Sliders(**{name: getattr(arguments, name) for name in names})
    settings = read_config(arguments, InferRun, given_options(arguments))
    check_signing(output, settings.c2pa_certificate, settings.c2pa_key)
    photo = read_source(arguments.source, output, settings)
    reenactor = load_for(settings, arguments.device)
    source = find_source(reenactor, photo, arguments.source, settings)
    settings = keeping_alpha(settings, [source], reenactor)
    frame = reenactor.pose(source, sliders, **animate_options(settings))
    if settings.label:
        (frame,) = labelled([frame])
    make_folder(output.parent)
    write_frame(output, frame, synthetic=True)
    sign_result(output, settings.c2pa_certificate, settings.c2pa_key)
    say(str(output))
