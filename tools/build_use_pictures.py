"""Make the pictures of docs/use.md with the shipped weights and the shipped synthetic people.

python -m tools.build_use_pictures              writes docs/pictures/use/*.jpg, in a few minutes
python -m tools.build_use_pictures label live   writes these two
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reenact import Motion, Reenactor, Sliders
from reenact.assets import asset_path
from reenact.errors import UserError, exit_code
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.inference.face_numbers import with_numbers
from reenact.inference.motion import SourcePose
from reenact.inference.motion_file import load_motion
from reenact.inference.run_config import InferRun
from reenact.inference.shipped_motions import shipped_motion
from reenact.live.feed import ClipFeed, RealClock
from reenact.live.overlay import with_lines
from reenact.live.run import run_live
from reenact.media.label import labelled
from reenact.media.video_reader import VideoReader

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "use"
TILE, CAPTION, GAP = 176, 20, 4  # pixels
QUALITY = 82
MOTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "nod": ("rotation", ()),
    "shake": ("rotation", ()),
    "smile": ("expression", ("mouthSmile",)),
    "speak": ("expression", ("jaw", "mouthFunnel")),
    "look": ("gaze", ()),
    "blink": ("expression", ("eyeBlink",)),
}
"""What moves most in each shipped motion: a field of the parameters, and for expressions the first
letters of their names."""
FACE = (slice(85, 265), slice(70, 250))
"""Rows and columns of the clip around the man's head."""

Row = Sequence[tuple[str, np.ndarray]]
"""Captions and pictures."""


@dataclass(frozen=True, kw_only=True)
class People:
    """The shipped people: a woman on a photo, and a man in a clip; all (320, 320, 3)."""

    reenactor: Reenactor
    woman: np.ndarray
    man: list[np.ndarray]

    @property
    def group(self) -> np.ndarray:
        return np.concatenate([self.woman, self.man[0]], 1)

    def crop(self, target: Motion, **options: Any) -> np.ndarray:
        """The woman's face in the last frame of a motion."""
        frames = self.reenactor.animate(
            self.woman, target, compose="crop", output_size=TILE, **options
        )
        return list(frames)[-1]


def photo_and_video(people: People) -> list[Row]:
    """Frames of source, target and result."""
    numbers = (0, 20, 45, 70)
    motion = people.reenactor.track(people.man)[numbers]
    results = people.reenactor.animate(people.woman, motion)
    targets = [("photo", people.woman), *(("target", people.man[i]) for i in numbers)]
    return [targets, [("", np.full_like(people.woman, 255)), *(("result", r) for r in results)]]


def motions(people: People) -> list[Row]:
    """The photo, and each shipped motion where it is strongest."""
    row = [("photo", people.crop(shipped("nod", 0), motion="relative"))]
    row += [(f"@{name}", people.crop(strongest(name), motion="relative")) for name in MOTIONS]
    return [row]


def strengths(people: People) -> list[Row]:
    """Strengths of an expression, and the regions."""
    smile, man = strongest("smile"), people.reenactor.track(people.man[70])
    first = [
        (
            f"--expression-strength {x:g}",
            people.crop(smile, motion="relative", expression_strength=x),
        )
        for x in (0, 0.5, 1, 1.5, 2)
    ]
    second = [
        (f"--region {region}", people.crop(man, region=region))
        for region in ("all", "head", "face", "eyes", "mouth")
    ]
    return [first, second]


def openings(people: People) -> list[Row]:
    """Lids and lips with the photo's own openings, and with those of the target."""
    blink = strongest("blink")
    return [
        [
            ("photo", people.crop(shipped("blink", 0), motion="relative")),
            ("--relative", people.crop(blink, motion="relative")),
            ("with --lip-retargeting", people.crop(blink, motion="relative", lip_retargeting=True)),
        ]
    ]


def sliders(people: People) -> list[Row]:
    """One slider after the other."""
    chosen = {
        "--yaw 20": Sliders(yaw=20),
        "--pitch 15": Sliders(pitch=15),
        "--smile 0.8": Sliders(smile=0.8),
        "--blink 1": Sliders(blink=1),
        "--brow 1": Sliders(brow=1),
        "--gaze-yaw 20": Sliders(gaze_yaw=20),
    }
    options: dict[str, Any] = {"compose": "crop", "output_size": TILE}
    return [
        [
            (name, people.reenactor.pose(people.woman, one, **options))
            for name, one in chosen.items()
        ]
    ]


def faces(people: People) -> list[Row]:
    """Numbers of faces, and both of them animated."""
    found = people.reenactor.face.faces(people.group)
    everybody = people.reenactor.find_all(people.group)
    shake, smile = strongest("shake"), strongest("smile")
    *_, both = people.reenactor.animate_all(everybody, shake, motion="relative")
    *_, each = people.reenactor.animate_all(everybody, [smile, shake], motion="relative")
    return [
        [
            ("diffusionact faces", with_numbers(people.group, found)),
            ("@shake --source-face all", both),
            ("@smile @shake --source-face 1,2", each),
        ]
    ]


def source_video(people: People) -> list[Row]:
    """Frames of a source video, and of both kinds of result."""
    source = [people.man[i] for i in (5, 28, 58, 70)]
    speak = load_motion(shipped_motion("@speak"))
    target = speak[[8, 16, 24, 32]]
    rows: list[Row] = [[("source", frame[FACE]) for frame in source]]
    poses: tuple[SourcePose, ...] = ("keep", "take")
    for pose in poses:
        results = people.reenactor.animate_video(source, target, source_pose=pose)
        rows.append([(f"--source-pose {pose}", frame[FACE]) for frame in results])
    return rows


def background(people: People) -> list[Row]:
    """The woman before the photo's own background, before none, and before a colour."""
    wanted = [("", "photo"), ("--background transparent", "transparent")]
    wanted += [("--background '#00b140'", "#00b140")]
    row = []
    for caption, background in wanted:
        *_, frame = people.reenactor.animate(
            people.woman, strongest("smile"), motion="relative", background=background
        )
        row.append((caption or "result", frame if frame.shape[2] == 3 else over_squares(frame)))
    return [row]


def over_squares(frame: np.ndarray, side: int = 16) -> np.ndarray:
    """A frame (H, W, 4) over grey and white squares, as programs show what is transparent."""
    y, x = np.indices(frame.shape[:2]) // side
    ground = np.where((x + y) % 2 == 0, 255, 205)[..., None]
    alpha = frame[..., 3:] / 255
    return (alpha * frame[..., :3] + (1 - alpha) * ground).round().astype(np.uint8)


def live(people: People) -> list[Row]:
    """What the camera sees, and the window."""
    clip = VideoReader(asset_path("demo_target.mp4"))
    clock, shown = RealClock(), Shown()
    settings = InferRun(motion="relative")
    source = people.reenactor.find(people.woman)
    run_live(people.reenactor, source, ClipFeed(clip, clock), [shown], settings, clock)
    frame, time = shown.last
    number = int(np.searchsorted([float(t) for t in clip.timeline.times], time))
    seen = people.man[min(number, len(people.man) - 1)]
    return [[("camera", seen), ("window of diffusionact live", frame)]]


class Shown:
    """Keeps what a window would show last, and when its camera frame came."""

    last: tuple[np.ndarray, float]

    def show(self, frame: np.ndarray, time: float, lines: list[str]) -> str:
        self.last = with_lines(frame, lines), time
        return ""

    def close(self) -> None:
        pass


def batch(people: People) -> list[Row]:
    """Each source with each target."""
    rows: list[Row] = []
    for photo in (people.woman, people.man[0]):
        row = []
        for name in ("smile", "shake", "speak"):
            *_, frame = people.reenactor.animate(photo, strongest(name), motion="relative")
            row.append((f"@{name}", frame))
        rows.append([("photo", photo), *row])
    return rows


def label(people: People) -> list[Row]:
    """The mark."""
    *_, result = people.reenactor.animate(people.woman, strongest("smile"), motion="relative")
    (marked,) = labelled([result])
    return [[("--label", marked), ("its corner", marked[-110:, -110:])]]


PICTURES: dict[str, Callable[[People], list[Row]]] = {
    "photo_and_video": photo_and_video,
    "motions": motions,
    "strengths": strengths,
    "openings": openings,
    "sliders": sliders,
    "faces": faces,
    "source_video": source_video,
    "background": background,
    "live": live,
    "batch": batch,
    "label": label,
}


def shipped(name: str, number: int) -> Motion:
    """A shipped motion in two frames: its first one, and this one."""
    motion = load_motion(shipped_motion(f"@{name}"))
    return motion[[0, number]]


def strongest(name: str) -> Motion:
    """A shipped motion in two frames: its first one, and the one that is farthest from it."""
    params = load_motion(shipped_motion(f"@{name}")).tracked.params
    part, starts = MOTIONS[name]
    values = getattr(params, part)
    if starts:
        values = values[:, [one.startswith(starts) for one in EXPRESSION_NAMES]]
    return shipped(name, int((values - values[:1]).abs().sum(1).argmax()))


def sheet(rows: Sequence[Row]) -> Image.Image:
    """Rows of pictures, each with its caption below."""
    font = ImageFont.load_default(13)
    strips = []
    for row in rows:
        tiles = [Image.fromarray(p).resize((TILE * p.shape[1] // len(p), TILE)) for _, p in row]
        width = sum(tile.width for tile in tiles) + GAP * (len(tiles) - 1)
        strip = Image.new("RGB", (width, TILE + CAPTION), "white")
        draw, x = ImageDraw.Draw(strip), 0
        for (text, _), tile in zip(row, tiles, strict=True):
            strip.paste(tile, (x, 0))
            draw.text((x + 3, TILE + 2), text, font=font, fill="black")
            x += tile.width + GAP
        strips.append(strip)
    whole = Image.new(
        "RGB", (max(s.width for s in strips), (TILE + CAPTION) * len(strips)), "white"
    )
    for i, strip in enumerate(strips):
        whole.paste(strip, (0, i * (TILE + CAPTION)))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(PICTURES)}; default: all")
    names = parser.parse_args().names or list(PICTURES)
    for name in names:
        if name not in PICTURES:
            raise UserError(f"{name}: unknown picture, choose from {', '.join(PICTURES)}")
    reenactor = Reenactor.load(device="cpu")
    with Image.open(asset_path("demo_source.png")) as picture:
        woman = np.asarray(picture.convert("RGB"))
    people = People(
        reenactor=reenactor, woman=woman, man=list(VideoReader(asset_path("demo_target.mp4")))
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = FOLDER / f"{name}.jpg"
        sheet(PICTURES[name](people)).save(path, quality=QUALITY, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
