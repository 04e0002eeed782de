"""Raw videos of synthetic people in VoxCeleb's layouts: python -m reenact synthetic-raw

They serve to try preparation, training and evaluation from end to end without VoxCeleb.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reenact.data.synthetic.clips import ClipPlan, SyntheticConfig, plan_clip
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage
from reenact.files import make_folder
from reenact.media.images import write_frame
from reenact.media.video_writer import VideoWriter

LAYOUTS = ("flat", "frames_cropped", "release")
CLIPS_OF_PERSON = 2
FIRST_TEST = 10270
"""Number of the first test identity of VoxCeleb1."""
HEADER = (
    "Identity  : \t{person}\n"
    "Reference : \t{video}\n"
    "Offset    : \t-2\n"
    "FV Conf   : \t17.985\t(1)\n"
    "ASD Conf  : \t3.815\n"
    "\n"
    "FRAME \tX \tY \tW \tH \n"
)


def render_clip(
    renderer: Renderer, index: int, num_frames: int, side: int
) -> tuple[list[np.ndarray], ClipPlan]:
    """Frames (side, side, 3) of the whole scene, and the plan they were drawn from."""
    config = SyntheticConfig(
        out=Path(), clips=1, frames=num_frames, size=side, frame_size=side, stride=1
    )
    plan = plan_clip(config, index, renderer.asset)
    stage = make_stage(config, plan, index, renderer.asset)
    params = plan.params.transformed(np.linalg.inv(plan.crop_from_frame))
    frames = [
        draw_frame(renderer, stage, params[n], np.eye(3), side, n, moment=n)[0]
        for n in range(num_frames)
    ]
    return frames, plan


def write_raw(out: Path, layout: str, num_clips: int, num_frames: int, side: int) -> None:
    """Write `num_clips` clips, two of each person. A progress bar is shown.

    The last quarter of the persons, and at least one of two, has test identities. The layout says
    whether videos or pictures are written. Clip i shows the same in every layout.
    """
    renderer = Renderer()
    num_persons = -(-num_clips // CLIPS_OF_PERSON)
    first = FIRST_TEST - num_persons + -(-num_persons // 4) if num_persons > 1 else FIRST_TEST - 1
    for index in tqdm(range(num_clips), desc="raw videos", unit="video"):
        frames, plan = render_clip(renderer, index, num_frames, side)
        person, video = f"id{first + index // CLIPS_OF_PERSON}", f"video-_{index:04d}"
        if layout == "flat":
            split = "test" if int(person[2:]) >= FIRST_TEST else "train"
            write_video(out / split / f"{person}#{video}#000000#{num_frames:06d}.mp4", frames)
        elif layout == "frames_cropped":
            folder = out / person / video / "frames_cropped"
            folder.mkdir(parents=True)
            for n, frame in enumerate(frames):
                write_frame(folder / f"{n:06d}.png", frame)
        else:
            # Widened, because square videos count as the release's own face crops.
            wide = [np.pad(f, ((0, 0), (side // 2, 0), (0, 0)), mode="edge") for f in frames]
            write_video(out / person / video / "00001.mp4", wide)
            path = out / "txt" / person / video / "00001.txt"
            path.parent.mkdir(parents=True)
            rows = box_rows(plan, side // 2, 360 / side)
            path.write_text(HEADER.format(person=person, video=video) + rows)


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    """Write frames (H, W, 3) as a video of 25 frames a second, and the folders above it."""
    make_folder(path.parent)
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=Fraction(25)) as video:
        for frame in frames:
            video.write(frame)


def box_rows(plan: ClipPlan, shift: int, unit: float) -> str:
    """Lines FRAME X Y W H with the box of each frame's landmarks.

    shift: pixels by which the boxes are moved to the right. unit: length of a pixel in the file.
    The frames are counted from 100 on, as in a longer video.
    """
    lines = []
    for n, (landmarks, matrix) in enumerate(zip(plan.landmarks, plan.crop_from_frame, strict=True)):
        back = np.linalg.inv(matrix)
        points = landmarks @ back[:2, :2].T + back[:2, 2] + [shift, 0]
        low, high = unit * points.min(0), unit * points.max(0)
        values = (*low, *(high - low))
        lines.append(f"{100 + n:06d} \t" + "".join(f"{v:.0f} \t" for v in values) + "\n")
    return "".join(lines)
