"""Number the faces of a photo or of a video's first frame that shows one.

Writes the picture with numbered boxes and prints a table. The numbers count from the left.
--source-face and --target-face take them.
"""

import argparse
from pathlib import Path

from reenact.commands.animating import EXPERT, add_part, given_options
from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import UserError, say
from reenact.files import check_input_file, check_output_path, make_folder, shortened
from reenact.media.formats import WRITABLE_SUFFIXES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s PICTURE [OPTION ...]"
    everyday = parser.add_argument_group("everyday")
    everyday.add_argument("picture", type=Path, metavar="PICTURE", help="photo or video")
    everyday.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="picture to write (default: results/PICTURE_faces.png)",
    )
    add_part(everyday)
    expert = parser.add_argument_group("expert", EXPERT)
    add_config(expert, default="embedded/infer")
    add_device(expert)


def run(arguments: argparse.Namespace) -> None:
    picture = check_input_file(arguments.picture)
    name = f"{shortened(picture.stem, 200)}_faces.png"
    output = arguments.output or Path("results") / name
    check_output_path(output, WRITABLE_SUFFIXES, makes_folders=True)
    from reenact.device import pick_device
    from reenact.face.factory import make_face_stack
    from reenact.inference.face_numbers import first_faces, with_numbers
    from reenact.inference.inputs import open_target
    from reenact.inference.motion import Motion
    from reenact.inference.run_config import InferRun
    from reenact.media.clip import MediaClip
    from reenact.media.images import write_frame

    settings = read_config(arguments, InferRun, given_options(arguments))
    opened = open_target(picture, settings)
    if isinstance(opened, Motion):
        raise UserError(f"{picture}: a motion file has no pictures, give a photo or a video")
    face = make_face_stack(settings.face, pick_device(arguments.device))
    frames = opened if isinstance(opened, MediaClip) else [opened]
    found = first_faces(face, frames)
    if found is None:
        raise UserError(f"{picture}: no face found, take one that shows a face clearly")
    number, frame, faces = found
    make_folder(output.parent)
    write_frame(output, with_numbers(frame, faces))
    largest = max(faces, key=lambda one: one.side)
    say(f"face{'left':>8}{'top':>8}{'width':>8}{'height':>8}")
    for one in faces:
        left, top, right, bottom = one.box
        numbers = "".join(f"{round(v):>8}" for v in (left, top, right - left, bottom - top))
        say(f"{one.number:>4}{numbers}{'  largest' if one is largest else ''}")
    where = f" (frame {number})" if isinstance(opened, MediaClip) else ""
    say(f"{output}{where}")
