"""The stage of a clip, which all its frames share, and the drawing of single frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reenact.data.clip import PHOTO_REACH
from reenact.data.synthetic.camera import Camera, draw_camera
from reenact.data.synthetic.clips import ClipPlan, SyntheticConfig, clip_rng
from reenact.data.synthetic.covers.draw import cover_person
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.light import Light, draw_place, make_light
from reenact.data.synthetic.person import Person, make_person
from reenact.data.synthetic.renderer import Masks, Renderer
from reenact.data.synthetic.rooms import Background, draw_background
from reenact.data.synthetic.surface_truth import FirstView
from reenact.errors import UserError
from reenact.face.params import FaceParams

GLINT_SHARE = 0.7
"""Share of the clips whose glasses mirror the surroundings, where clips may be covered at all."""
OTHER_ALPHA = 8
"""Largest mean difference (levels of 255) between the stored alpha of a frame and a new drawing. A
larger one means that another version of the generator drew the frame."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What all frames of a clip share."""

    person: Person
    light: Light
    background: Background
    camera: Camera


def make_stage(config: SyntheticConfig, plan: ClipPlan, index: int, asset: HeadAsset) -> Stage:
    """Person, light, background and camera of clip `index`."""
    rng = clip_rng(config, index, 3)
    place = draw_place(rng)
    light = make_light(place, rng)
    person = make_person(plan.person_seed, config.split, asset)
    # A stream of its own: the people of clips without covers stay the same.
    chance = clip_rng(config, index, 4)
    if chance.random() < config.covered:
        person = cover_person(person, asset, chance, config.frames)
    if config.covered > 0 and chance.random() < GLINT_SHARE:
        person = replace(person, glint=float(chance.uniform(0.4, 1.6)))
    return Stage(
        person=person,
        light=light,
        background=draw_background(rng, place, light, config.frame_size),
        camera=draw_camera(rng),
    )


def draw_frame(
    renderer: Renderer,
    stage: Stage,
    params: FaceParams,
    crop: np.ndarray,
    size: int,
    shot: int = 0,
    moment: int = 0,
    reach: int = 1,
    first: FirstView | None = None,
) -> tuple[np.ndarray, Masks]:
    """One frame of a clip. For the arguments see `Renderer.render`."""
    return renderer.render(
        stage.person,
        params,
        stage.light,
        stage.background,
        crop,
        size,
        camera=stage.camera,
        shot=shot,
        moment=moment,
        reach=reach,
        first=first,
    )


def see_first(renderer: Renderer, stage: Stage, plan: ClipPlan, size: int) -> FirstView:
    """What the photo of a clip shows of the person's surface."""
    return renderer.first_view(stage.person, plan.params[0], size, PHOTO_REACH)


def draw_photo(
    renderer: Renderer, stage: Stage, plan: ClipPlan, size: int, middle: np.ndarray
) -> np.ndarray:
    """The photo (PHOTO_REACH * size, ..., 4) uint8 whose middle is frame 0: colours and alpha.

    middle: (size, size, 4), frame 0 and its alpha. The photo shows exactly these there.
    """
    picture, masks = draw_frame(
        renderer, stage, plan.params[0], plan.crop_from_frame[0], size, reach=PHOTO_REACH
    )
    photo = np.concatenate([picture, masks.foreground[..., None]], -1)
    inside = slice(size * (PHOTO_REACH - 1) // 2, size * (PHOTO_REACH + 1) // 2)
    gap = np.abs(photo[inside, inside, 3].astype(float) - middle[..., 3]).mean()
    if gap > OTHER_ALPHA:
        raise UserError(
            f"{plan.name}: was drawn by another version of the generator, delete its folder and "
            "generate it again"
        )
    photo[inside, inside] = middle
    return photo
