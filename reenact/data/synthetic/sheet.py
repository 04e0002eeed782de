"""Contact sheet of the generator: python -m reenact synthetic-sheet --out sheet.png

Every row is one clip: frames, one frame with landmarks and pupils, its masks, cross frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from reenact.data.synthetic.clips import (
    SyntheticConfig,
    cross_targets,
    plan_clip,
)
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage
from reenact.face.params import retarget

LANDMARK_COLOUR, PUPIL_COLOUR = (40, 255, 90), (255, 60, 60)


def draw_points(frame: np.ndarray, landmarks: np.ndarray, pupils: np.ndarray) -> np.ndarray:
    """Frame (S, S, 3) with landmarks (68, 2) and pupils (2, 2) marked."""
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    radius = max(0.5, frame.shape[0] / 200)
    for points, colour in ((landmarks, LANDMARK_COLOUR), (pupils, PUPIL_COLOUR)):
        for x, y in points:
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return np.asarray(picture)


def clip_row(config: SyntheticConfig, index: int, renderer: Renderer) -> np.ndarray:
    """One strip (S, S * columns, 3) of clip `index`."""
    plan = plan_clip(config, index, renderer.asset)
    stage = make_stage(config, plan, index, renderer.asset)
    shown = np.linspace(0, config.frames - 1, 8).round().astype(int)
    tiles = []
    for n in shown:
        crop = plan.crop_from_frame[n]
        params, n = plan.params[int(n)], int(n)
        frame, masks = draw_frame(renderer, stage, params, crop, config.size, n, moment=n)
        tiles.append(frame)
    tiles.append(draw_points(frame, plan.landmarks[shown[-1]], plan.pupils[shown[-1]]))
    tiles.append(np.stack([masks.foreground, masks.face, masks.hair], -1))
    for clip, n in cross_targets(config, index)[:4]:
        target = plan_clip(config, clip, renderer.asset).params[n]
        params = retarget(plan.params[0], target)
        crop = plan.crop_from_frame[0]
        tiles.append(draw_frame(renderer, stage, params, crop, config.size)[0])
    return np.concatenate(tiles, 1)


def contact_sheet(config: SyntheticConfig, indices: Sequence[int]) -> np.ndarray:
    """Rows of `clip_row` stacked (H, W, 3). A progress bar is shown."""
    renderer = Renderer()
    people = tqdm(indices, desc="contact sheet", unit="person")
    return np.concatenate([clip_row(config, index, renderer) for index in people])
