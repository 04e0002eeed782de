"""Rebuild the demo: a photo and a clip of two synthetic people of the test split.

    python -m tools.build_demo  # writes reenact/assets/demo_source.png and demo_target.mp4

Nothing of these people was seen in training.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np

from reenact.assets import ASSETS_DIR
from reenact.data.synthetic.clips import ClipPlan, SyntheticConfig, plan_clip
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage
from reenact.errors import exit_code
from reenact.media.images import write_frame
from reenact.media.video_writer import VideoWriter


def draw_frames(config: SyntheticConfig, index: int, renderer: Renderer) -> list[np.ndarray]:
    """Frames (S, S, 3) of a clip as a camera would see them, not cropped to the face."""
    plan: ClipPlan = plan_clip(config, index, renderer.asset)
    stage = make_stage(config, plan, index, renderer.asset)
    params = plan.params.transformed(np.linalg.inv(plan.crop_from_frame))
    size = config.frame_size
    return [
        draw_frame(renderer, stage, params[n], np.eye(3), size, n)[0] for n in range(len(params))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=int, default=56, help="clip that gives the photo")
    parser.add_argument("--target", type=int, default=10, help="clip that gives the motion")
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--out", type=Path, default=ASSETS_DIR)
    args = parser.parse_args()
    config = SyntheticConfig(
        out=args.out, clips=1, frames=1, stride=1, split="test", frame_size=args.size
    )
    renderer = Renderer()
    write_frame(args.out / "demo_source.png", draw_frames(config, args.source, renderer)[0])
    config = SyntheticConfig(
        out=args.out, clips=1, frames=args.frames, stride=1, split="test", frame_size=args.size
    )
    path = args.out / "demo_target.mp4"
    with VideoWriter(path, width=args.size, height=args.size, fps=Fraction(25)) as writer:
        for frame in draw_frames(config, args.target, renderer):
            writer.write(frame)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
