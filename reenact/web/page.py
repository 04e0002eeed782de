"""The page: a photo, a motion, the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from reenact.web.cards import (
    KINDS,
    SOURCE_KINDS,
    MotionCard,
    ResultCard,
    SourceCard,
    motion_card,
    result_card,
    source_card,
)
from reenact.web.storage import Storage
from reenact.web.studio import Studio
from reenact.web.visitors import Visitors, waiting

TITLE = "DiffusionAct"

HEADER = """
<header>
  <h1>DiffusionAct</h1>
  <p>One photo follows a motion. Everything stays on this computer.</p>
</header>
"""
FOOTER = """
<footer>
  <p>Every result says in its file that it is synthetic. Use it only on faces whose owners agree.
  Uploads and results are deleted when you close the page.</p>
</footer>
"""


def build(studio: Studio, storage: Storage, example: Path) -> gr.Blocks:
    """The page.

    example: a picture to offer beside the one that ships with the package.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(HEADER)
        with gr.Row(elem_classes="cards"):
            source = source_card(example)
            motion = motion_card()
        result = result_card(studio)
        gr.HTML(FOOTER)
        _connect(page, Visitors(studio, storage), source, motion, result)
    page.queue(max_size=20, api_open=False)
    return page


def _connect(
    page: gr.Blocks,
    visitors: Visitors,
    source: SourceCard,
    motion: MotionCard,
    result: ResultCard,
) -> None:
    """What happens when a visitor changes something. One job runs at a time."""
    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    working: dict[str, Any] = hidden | {"concurrency_limit": 1, "concurrency_id": "work"}
    sent = [source.kind, source.photo, source.person]
    source.kind.change(show_source, [source.kind], source.parts, queue=False, **hidden)
    looked = gr.on(
        [source.kind.change, source.photo.change, source.person.change],
        visitors.look,
        sent,
        [source.says, source.chooser, source.preview, source.face, motion.still],
        preprocess=False,
        **working,
    )
    parts = [*motion.parts, result.card]
    motion.kind.change(show_part, [motion.kind], parts, queue=False, **hidden)
    motion.clip.change(visitors.sent_clip, [motion.clip], preprocess=False, **hidden)
    motion.other.change(visitors.sent_file, [motion.other], preprocess=False, **hidden)
    pose: dict[str, Any] = working | {
        "fn": visitors.pose,
        "inputs": [motion.kind, *sent, source.face, *motion.sliders, *result.options],
        "outputs": [motion.still, motion.still_says, motion.still_file],
        "preprocess": False,
        "trigger_mode": "always_last",  # while a slider is dragged, its newest place
    }
    looked.then(**pose)
    moved = [slider.change for slider in motion.sliders]
    gr.on([motion.kind.change, source.face.change, *moved], **pose)
    motion.reset.click(
        lambda: [0] * len(motion.sliders), outputs=motion.sliders, queue=False, **hidden
    )
    clicked = result.animate.click(waiting, outputs=[result.says], queue=False, **hidden)
    clicked.then(
        visitors.animate,
        [
            *sent,
            source.face,
            motion.kind,
            motion.shipped,
            motion.clip,
            motion.other,
            *result.options,
        ],
        [
            result.says,
            result.animate,
            result.stop,
            result.pair,
            result.before,
            result.moving,
            result.picture,
            result.file,
        ],
        preprocess=False,
        **working,
    )
    result.stop.click(visitors.stop, outputs=[result.stop], queue=False, **hidden)
    page.unload(visitors.leave)


def show_source(kind: str) -> tuple[Any, ...]:
    """The part of step 1 that was chosen."""
    return tuple(gr.Column(visible=name == kind) for name in SOURCE_KINDS)


def show_part(kind: str) -> tuple[Any, ...]:
    """The part of step 2 that was chosen. The sliders show their own result."""
    parts = (gr.Column(visible=name == kind) for name in KINDS)
    return *parts, gr.Column(visible=kind != "sliders")
