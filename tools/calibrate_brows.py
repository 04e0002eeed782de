"""Measure how much of a movement of the brows the tracker's scores show.

The numbers are BROW_GAINS of reenact/face/open/brows.py.

    python -m tools.calibrate_brows --people 20
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from reenact.data.synthetic.clips import SyntheticConfig, plan_clip
from reenact.data.synthetic.head_asset import load_head_asset
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import draw_frame, make_stage
from reenact.errors import exit_code
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.open.brows import BROW_GAINS
from reenact.face.open.tracker import FaceTracker

SIZE = 192
MOVEMENTS = (("browInnerUp", "browOuterUp"), ("browDown",))
"""Which brow expressions go from 0 to 1 together."""
CALM, TURN = 0.3, 0.5
"""How much is left of the other expressions and of the head's rotation."""


def columns(name: str) -> list[int]:
    """The numbers of the expressions whose names begin with `name`."""
    return [k for k, other in enumerate(EXPRESSION_NAMES) if other.startswith(name)]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=20)
    people = parser.parse_args().people
    asset = load_head_asset()
    renderer, tracker = Renderer(asset), FaceTracker()
    config = SyntheticConfig(out=Path(), clips=people, size=SIZE, seed=7, workers=1)
    changes: dict[str, list[float]] = {name: [] for name in BROW_GAINS}
    for index in range(people):
        plan = plan_clip(config, index, asset)
        stage = make_stage(config, plan, index, asset)
        face = plan.params[0]
        at_rest = face.expression * CALM
        for name in BROW_GAINS:
            at_rest[:, columns(name)] = 0
        for names in MOVEMENTS:
            frames = []
            for amount in (0.0, 1.0):
                expression = at_rest.clone()
                for name in names:
                    expression[:, columns(name)] = amount
                moved = replace(face, expression=expression, rotation=face.rotation * TURN)
                frame, _ = draw_frame(renderer, stage, moved, plan.crop_from_frame[0], SIZE)
                frames.append(frame[..., :3])
            tracked = tracker.track_images(tracker.images(np.stack(frames)))
            if bool(tracked.found.all()):
                low, high = tracked.blendshapes
                for name in names:
                    changes[name].append(float((high - low)[columns(name)].mean()))
    for name, values in changes.items():
        print(f"{name}: a whole movement changes the score by {np.mean(values):.2f}")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
