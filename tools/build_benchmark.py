"""Choose the clips of the benchmark, and write its committed description and thumbnails.

    python -m tools.build_benchmark             choose the clips anew
    python -m tools.build_benchmark --keep      keep the clips, renew parameters and thumbnails

Use it only together with a new version number: old numbers cannot be compared with a changed set.
The tracks are chosen among NUM_CANDIDATES clips, by the parameters alone:

turns: the largest turn of the head from the first frame (yaw).
expressions: the largest change of expression and gaze, with a small turn of the head.
everyday: the first of the other clips.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from reenact.data.synthetic.clips import plan_clip
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage
from reenact.errors import exit_code
from reenact.evaluation.benchmark.spec import (
    SIZES,
    THUMBNAIL_FRAMES,
    VERSION,
    Spec,
    config_of,
    parameter_means,
    read_spec,
    thumbnail,
    thumbnails_path,
    write_spec,
)

NUM_CANDIDATES, CLIPS_PER_TRACK = 300, 8
SMALL_TURN_DEG = 15.0


def chosen_tracks() -> dict[str, list[int]]:
    """The clips of each track."""
    turn, change = np.zeros(NUM_CANDIDATES), np.zeros(NUM_CANDIDATES)
    for clip in tqdm(range(NUM_CANDIDATES), unit="clip"):
        params = plan_clip(config_of(Path(), SIZES[0], [clip]), clip).params
        yaw = np.rad2deg(params.rotation[:, 0].numpy())
        turn[clip] = np.abs(yaw - yaw[0]).max()
        expression = (params.expression - params.expression[:1]).abs().mean(1).max()
        gaze = (params.gaze - params.gaze[:1]).abs().sum(1).max()
        change[clip] = float(expression) / 0.1 + float(gaze) / 0.5
    turns = np.argsort(-turn, kind="stable")[:CLIPS_PER_TRACK]
    calm = [clip for clip in np.argsort(-change, kind="stable") if turn[clip] < SMALL_TURN_DEG]
    expressions = calm[:CLIPS_PER_TRACK]
    taken = {*turns.tolist(), *(int(clip) for clip in expressions)}
    everyday = [clip for clip in range(NUM_CANDIDATES) if clip not in taken][:CLIPS_PER_TRACK]
    return {
        "everyday": everyday,
        "turns": sorted(turns.tolist()),
        "expressions": sorted(int(clip) for clip in expressions),
    }


def write_thumbnails(spec: Spec, size: int) -> None:
    """Two frames of each clip, one column for each clip."""
    renderer, columns = Renderer(), []
    clips = [clip for part in spec.tracks.values() for clip in part]
    for clip in tqdm(clips, unit="clip", desc=f"{size} pixels"):
        config = config_of(Path(), size, clips)
        plan = plan_clip(config, clip, renderer.asset)
        stage = make_stage(config, plan, clip, renderer.asset)
        frames = [
            draw_frame(renderer, stage, plan.params[n], plan.crop_from_frame[n], size, n)[0]
            for n in THUMBNAIL_FRAMES
        ]
        columns.append(np.concatenate([thumbnail(frame) for frame in frames]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(thumbnails_path(size))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="keep the chosen clips")
    args = parser.parse_args()
    tracks = read_spec().tracks if args.keep else chosen_tracks()
    clips = [clip for part in tracks.values() for clip in part]
    parameters = {str(clip): parameter_means(clip) for clip in clips}
    spec = Spec(version=VERSION, tracks=tracks, parameters=parameters)
    write_spec(spec)
    for size in SIZES:
        write_thumbnails(spec, size)
    print(tracks)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
