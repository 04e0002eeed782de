"""The page: a photo, a motion, the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from reenact.assets import asset_path
from reenact.inference.motion_file import SUFFIX
from reenact.web.options import OPTIONS, SLIDERS, Option
from reenact.web.storage import Storage
from reenact.web.studio import LARGEST, Studio
from reenact.web.visitors import ONE_FACE, Visitors, shipped_names, waiting

TITLE = "DiffusionAct"

KINDS = {"shipped": "Ready-made", "video": "Video", "file": "File", "sliders": "Sliders"}

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


def heading(number: int, title: str, text: str) -> str:
    return f'<div class="step"><h2><span>{number}</span>{title}</h2><p>{text}</p></div>'


def build(studio: Studio, storage: Storage, example: Path) -> gr.Blocks:
    """The page.

    example: a picture to offer beside the one that ships with the package.
    """
    visitors = Visitors(studio, storage)
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(HEADER)
        with gr.Row(elem_classes="cards"):
            with gr.Column(elem_classes="card"):
                gr.HTML(heading(1, "A photo", "One face, seen clearly from the front."))
                photo = gr.Image(
                    type="filepath",
                    sources=["upload", "webcam"],
                    label="Photo",
                    show_label=False,
                    buttons=[],
                    height=320,
                    elem_id="photo",
                    webcam_options=gr.WebcamOptions(mirror=False),
                )
                photo_says = gr.HTML(elem_classes="says")
                with gr.Column(visible=False) as chooser:
                    preview = gr.Image(
                        label="Faces with their numbers",
                        show_label=False,
                        interactive=False,
                        buttons=[],
                        elem_id="preview",
                    )
                    face = gr.Radio(ONE_FACE, value=LARGEST, label="Which face?", elem_id="face")
                gr.Examples(
                    [[str(asset_path("demo_source.png"))], [str(example)]],
                    inputs=[photo],
                    label="Or take one of these (synthetic people)",
                    elem_id="photos",
                )
            with gr.Column(elem_classes="card"):
                gr.HTML(heading(2, "A motion", "Ready-made, from a video, or set by hand."))
                kind = gr.Radio(
                    [(text, name) for name, text in KINDS.items()],
                    value="shipped",
                    label="Where the motion comes from",
                    show_label=False,
                    elem_id="kind",
                )
                with gr.Column() as shipped_part:
                    shipped = gr.Radio(
                        [(name.capitalize(), name) for name in shipped_names()],
                        value="smile",
                        label="Motion",
                        show_label=False,
                        elem_id="shipped",
                    )
                with gr.Column(visible=False) as video_part:
                    clip = gr.Video(
                        sources=["upload", "webcam"],
                        label="Video",
                        show_label=False,
                        include_audio=True,
                        height=348,
                        buttons=[],
                        elem_id="clip",
                        webcam_options=gr.WebcamOptions(mirror=False),
                    )
                with gr.Column(visible=False) as file_part:
                    gr.HTML(
                        f'<p class="note">A picture, an animation, or a motion file ({SUFFIX}).</p>'
                    )
                    other = gr.File(label="File", show_label=False, height=200, elem_id="other")
                with gr.Column(visible=False) as slider_part:
                    still = gr.Image(
                        label="Photo with the sliders",
                        show_label=False,
                        interactive=False,
                        buttons=[],
                        height=320,
                        elem_id="still",
                    )
                    still_says = gr.HTML(elem_classes="says", elem_id="still-says")
                    sliders = _add_sliders()
                    with gr.Row():
                        reset = gr.Button("Reset", size="sm", elem_id="reset")
                        still_file = gr.DownloadButton(
                            "Download", size="sm", interactive=False, elem_id="still-file"
                        )
        with gr.Column(elem_classes="card", elem_id="result") as result:
            gr.HTML(
                heading(3, "The result", "Some seconds of video take a minute or two on a CPU.")
            )
            with gr.Accordion("Options", open=False, elem_id="options"):
                options = _add_options(studio)
            with gr.Row(elem_id="actions"):
                animate = gr.Button("Animate", variant="primary", elem_id="animate")
                stop = gr.Button("Stop", visible=False, elem_id="stop")
            says = gr.HTML(elem_classes="says", elem_id="says")
            with gr.Row(visible=False, elem_id="pair") as pair:
                before = gr.Image(
                    label="Photo", show_label=False, interactive=False, buttons=[], elem_id="before"
                )
                moving = gr.Video(
                    label="Result",
                    show_label=False,
                    interactive=False,
                    autoplay=True,
                    loop=True,
                    buttons=[],
                    elem_id="moving",
                )
                picture = gr.Image(
                    label="Result",
                    show_label=False,
                    interactive=False,
                    buttons=[],
                    elem_id="picture",
                )
            file = gr.DownloadButton(
                "Download", variant="primary", visible=False, elem_id="download"
            )
        gr.HTML(FOOTER)

        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        working: dict[str, Any] = hidden | {"concurrency_limit": 1, "concurrency_id": "work"}
        parts = [shipped_part, video_part, file_part, slider_part]
        kind.change(show_part, [kind], [*parts, result], queue=False, **hidden)
        looked = photo.change(
            visitors.look,
            [photo],
            [photo_says, chooser, preview, face, still],
            preprocess=False,
            **working,
        )
        clip.change(visitors.sent_clip, [clip], preprocess=False, **hidden)
        other.change(visitors.sent_file, [other], preprocess=False, **hidden)
        pose: dict[str, Any] = working | {
            "fn": visitors.pose,
            "inputs": [kind, photo, face, *sliders, *options],
            "outputs": [still, still_says, still_file],
            "preprocess": False,
            "trigger_mode": "always_last",  # while a slider is dragged, its newest place
        }
        looked.then(**pose)
        gr.on([kind.change, face.change, *(slider.change for slider in sliders)], **pose)
        reset.click(lambda: [0] * len(sliders), outputs=sliders, queue=False, **hidden)
        animate.click(waiting, outputs=[says], queue=False, **hidden).then(
            visitors.animate,
            [photo, face, kind, shipped, clip, other, *options],
            [says, animate, stop, pair, before, moving, picture, file],
            preprocess=False,
            **working,
        )
        stop.click(visitors.stop, outputs=[stop], queue=False, **hidden)
        page.unload(visitors.leave)
    page.queue(max_size=20, api_open=False)
    return page


def _add_sliders() -> list[gr.Slider]:
    sliders = []
    for title, group in SLIDERS.items():
        gr.HTML(f'<h3 class="group">{title}</h3>')
        with gr.Row(elem_classes="sliders"):
            for slider in group:
                sliders.append(
                    gr.Slider(
                        slider.low,
                        slider.high,
                        0,
                        step=slider.step,
                        label=slider.text,
                        buttons=[],
                        min_width=130,
                        elem_id=f"slider-{slider.key}",
                    )
                )
    return sliders


def _add_options(studio: Studio) -> list[gr.components.Component]:
    components = []
    for title, group in OPTIONS.items():
        gr.HTML(f'<h3 class="group">{title}</h3>')
        with gr.Row(elem_classes="options"):
            for option in group:
                components.append(_component(option, getattr(studio.run, option.key)))
    return components


def _component(option: Option, value: Any) -> gr.components.Component:
    shown: dict[str, Any] = {
        "label": option.key,
        "info": option.text,
        "min_width": 220,
        "elem_id": f"option-{option.key}",
    }
    if option.choices == ():
        return gr.Checkbox(value, **shown)
    if option.choices is not None:
        value = (
            option.choices[0] if value not in option.choices or option.key == "motion" else value
        )
        return gr.Dropdown(list(option.choices), value=value, **shown)
    if option.high is not None:
        return gr.Slider(option.low, option.high, value, step=option.step, buttons=[], **shown)
    return gr.Number(value or 0, minimum=0, **shown)


def show_part(kind: str) -> tuple[Any, ...]:
    """The part of step 2 that was chosen. The sliders show their own result."""
    parts = (gr.Column(visible=name == kind) for name in KINDS)
    return *parts, gr.Column(visible=kind != "sliders")
