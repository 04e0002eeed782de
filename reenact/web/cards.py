"""The three cards of the page: what each shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from reenact.assets import asset_path
from reenact.inference.shipped_motions import SUFFIX, shipped_names
from reenact.web.options import OPTIONS, SLIDERS, Option
from reenact.web.studio import LARGEST, Studio
from reenact.web.visitors import ONE_FACE

SOURCE_KINDS = {"photo": "Photo", "person": "Video"}
KINDS = {"shipped": "Ready-made", "video": "Video", "file": "File", "sliders": "Sliders"}


@dataclass(frozen=True, kw_only=True)
class SourceCard:
    """Step 1. `parts` are one column for each of `SOURCE_KINDS`, of which one is seen.

    `chooser` holds `preview` and `face`, and is seen where there are several faces.
    """

    kind: gr.Radio
    parts: list[gr.Column]
    photo: gr.Image
    person: gr.Video
    says: gr.HTML
    chooser: gr.Column
    preview: gr.Image
    face: gr.Radio


@dataclass(frozen=True, kw_only=True)
class MotionCard:
    """Step 2. `parts` are one column for each of `KINDS`, of which one is seen."""

    kind: gr.Radio
    parts: list[gr.Column]
    shipped: gr.Radio
    clip: gr.Video
    other: gr.File
    still: gr.Image
    still_says: gr.HTML
    sliders: list[gr.Slider]
    reset: gr.Button
    still_file: gr.DownloadButton


@dataclass(frozen=True, kw_only=True)
class ResultCard:
    """Step 3. `pair` holds the photo (`before`) and the result beside it (`moving`, `picture`)."""

    card: gr.Column
    options: list[gr.components.Component]
    animate: gr.Button
    stop: gr.Button
    says: gr.HTML
    pair: gr.Row
    before: gr.Image
    moving: gr.Video
    picture: gr.Image
    file: gr.DownloadButton


def source_card(example: Path) -> SourceCard:
    with gr.Column(elem_classes="card"):
        gr.HTML(_heading(1, "A photo", "Or a video. One face, seen clearly from the front."))
        kind = _tabs(SOURCE_KINDS, "What moves", "source-kind")
        with gr.Column() as photo_part:
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
            gr.Examples(
                [[str(asset_path("demo_source.png"))], [str(example)]],
                inputs=[photo],
                label="Or take one of these (synthetic people)",
                elem_id="photos",
            )
        with gr.Column(visible=False) as person_part:
            person = _sent_video("Video of the person", "person")
        says = gr.HTML(elem_classes="says")
        with gr.Column(visible=False) as chooser:
            preview = _shown_image("Faces with their numbers", "preview")
            face = gr.Radio(ONE_FACE, value=LARGEST, label="Which face?", elem_id="face")
    return SourceCard(
        kind=kind,
        parts=[photo_part, person_part],
        photo=photo,
        person=person,
        says=says,
        chooser=chooser,
        preview=preview,
        face=face,
    )


def motion_card() -> MotionCard:
    with gr.Column(elem_classes="card"):
        gr.HTML(_heading(2, "A motion", "Ready-made, from a video, or set by hand."))
        kind = _tabs(KINDS, "Where the motion comes from", "kind")
        with gr.Column() as shipped_part:
            shipped = gr.Radio(
                [(name.capitalize(), name) for name in shipped_names()],
                value="smile",
                label="Motion",
                show_label=False,
                elem_id="shipped",
            )
        with gr.Column(visible=False) as video_part:
            clip = _sent_video("Video", "clip")
        with gr.Column(visible=False) as file_part:
            gr.HTML(f'<p class="note">A picture, an animation, or a motion file ({SUFFIX}).</p>')
            other = gr.File(label="File", show_label=False, height=200, elem_id="other")
        with gr.Column(visible=False) as slider_part:
            still = _shown_image("Photo with the sliders", "still", height=320)
            still_says = gr.HTML(elem_classes="says", elem_id="still-says")
            sliders = _add_sliders()
            with gr.Row():
                reset = gr.Button("Reset", size="sm", elem_id="reset")
                still_file = gr.DownloadButton(
                    "Download", size="sm", interactive=False, elem_id="still-file"
                )
    return MotionCard(
        kind=kind,
        parts=[shipped_part, video_part, file_part, slider_part],
        shipped=shipped,
        clip=clip,
        other=other,
        still=still,
        still_says=still_says,
        sliders=sliders,
        reset=reset,
        still_file=still_file,
    )


def result_card(studio: Studio) -> ResultCard:
    with gr.Column(elem_classes="card", elem_id="result") as card:
        gr.HTML(_heading(3, "The result", "Some seconds of video take a minute or two on a CPU."))
        with gr.Accordion("Options", open=False, elem_id="options"):
            options = _add_options(studio)
        with gr.Row(elem_id="actions"):
            animate = gr.Button("Animate", variant="primary", elem_id="animate")
            stop = gr.Button("Stop", visible=False, elem_id="stop")
        says = gr.HTML(elem_classes="says", elem_id="says")
        with gr.Row(visible=False, elem_id="pair") as pair:
            before = _shown_image("Photo", "before")
            moving = gr.Video(
                label="Result",
                show_label=False,
                interactive=False,
                autoplay=True,
                loop=True,
                buttons=[],
                elem_id="moving",
            )
            picture = _shown_image("Result", "picture")
        file = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="download")
    return ResultCard(
        card=card,
        options=options,
        animate=animate,
        stop=stop,
        says=says,
        pair=pair,
        before=before,
        moving=moving,
        picture=picture,
        file=file,
    )


def _heading(number: int, title: str, text: str) -> str:
    return f'<div class="step"><h2><span>{number}</span>{title}</h2><p>{text}</p></div>'


def _tabs(kinds: dict[str, str], label: str, elem_id: str) -> gr.Radio:
    """One bar of equal parts, of which the first is chosen."""
    return gr.Radio(
        [(text, name) for name, text in kinds.items()],
        value=next(iter(kinds)),
        label=label,
        show_label=False,
        elem_id=elem_id,
        elem_classes="tabs",
    )


def _sent_video(label: str, elem_id: str) -> gr.Video:
    """A video that visitors upload or record."""
    return gr.Video(
        sources=["upload", "webcam"],
        label=label,
        show_label=False,
        include_audio=True,
        height=348,
        buttons=[],
        elem_id=elem_id,
        webcam_options=gr.WebcamOptions(mirror=False),
    )


def _shown_image(label: str, elem_id: str, height: int | None = None) -> gr.Image:
    """A picture that visitors cannot change."""
    return gr.Image(
        label=label,
        show_label=False,
        interactive=False,
        buttons=[],
        height=height,
        elem_id=elem_id,
    )


def _add_sliders() -> list[gr.Slider]:
    sliders = []
    for title, group in SLIDERS.items():
        gr.HTML(f'<h3 class="group">{title}</h3>')
        with gr.Row(elem_classes="sliders"):
            for slider in group:
                assert slider.low is not None
                assert slider.high is not None
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
    if option.low is not None and option.high is not None:
        return gr.Slider(option.low, option.high, value, step=option.step, buttons=[], **shown)
    return gr.Number(value or 0, minimum=0, **shown)
