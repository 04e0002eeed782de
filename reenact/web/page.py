"""The page: a photo, a motion, the result."""

from __future__ import annotations

import html
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from reenact.assets import ASSETS_DIR, asset_path
from reenact.errors import UserError
from reenact.face.control import Sliders
from reenact.inference.motion_file import SUFFIX
from reenact.web.job import Job, Progress, Stopped
from reenact.web.options import GROUPS, OPTIONS, Option, run_of
from reenact.web.storage import Storage
from reenact.web.studio import Made, Studio

TITLE = "DiffusionAct"
POLL_SECONDS = 0.2

LARGEST = ("the largest", 0)
KINDS = {"shipped": "Ready-made", "video": "Video", "file": "File", "sliders": "Sliders"}

SLIDERS: dict[str, tuple[tuple[str, str, float, float, float], ...]] = {
    "Head": (
        ("yaw", "Turn", -30, 30, 1),
        ("pitch", "Nod", -20, 20, 1),
        ("roll", "Tilt", -25, 25, 1),
    ),
    "Eyes": (
        ("gaze_yaw", "Gaze sideways", -30, 30, 1),
        ("gaze_pitch", "Gaze up", -20, 20, 1),
        ("blink", "Close lids", 0, 1, 0.05),
    ),
    "Face": (
        ("smile", "Smile", -1, 1, 0.05),
        ("open_mouth", "Open mouth", 0, 1, 0.05),
        ("brow", "Raise brows", -1, 1, 0.05),
    ),
}
"""Fields of `Sliders` with what they do, from, to and step. Angles are degrees."""

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
    visitors = _Visitors(studio, storage)
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
                    face = gr.Radio([LARGEST], value=0, label="Which face?", elem_id="face")
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
                        height=320,
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
        animate.click(
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
            for name, text, low, high, step in group:
                sliders.append(
                    gr.Slider(
                        low,
                        high,
                        0,
                        step=step,
                        label=text,
                        buttons=[],
                        min_width=130,
                        elem_id=f"slider-{name}",
                    )
                )
    return sliders


def _add_options(studio: Studio) -> list[gr.components.Component]:
    components = []
    for title, group in GROUPS.items():
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


class _Visitors:
    """The events of the page. A visit is one open page."""

    def __init__(self, studio: Studio, storage: Storage) -> None:
        self._studio, self._storage = studio, storage
        self._jobs: dict[str, Job[Made]] = {}

    def look(self, photo: Any, request: gr.Request) -> tuple[Any, ...]:
        """A photo came or went."""
        path = _path(photo)
        self._storage.use(_visit(request), "photo", path)
        alone = gr.Column(visible=False), None, gr.Radio([LARGEST], value=0), None
        if path is None:
            return "", *alone
        try:
            faces, numbered = self._studio.faces(path)
        except Exception as error:
            return _error(error), *alone
        if len(faces) == 1:
            return "", *alone
        choices = [LARGEST, *((str(face.number), face.number) for face in faces)]
        said = _note(f"{len(faces)} faces. Choose the one that shall move.")
        return said, gr.Column(visible=True), numbered, gr.Radio(choices, value=0), None

    def sent_clip(self, sent: Any, request: gr.Request) -> None:
        """A video came or went."""
        self._storage.use(_visit(request), "clip", _path(sent))

    def sent_file(self, sent: Any, request: gr.Request) -> None:
        """A picture or a motion file came or went."""
        self._storage.use(_visit(request), "file", _path(sent))

    def pose(
        self, request: gr.Request, kind: str, photo: Any, face: Any, *values: Any
    ) -> tuple[Any, ...]:
        """A slider moved."""
        if kind != "sliders":
            return gr.skip(), gr.skip(), gr.skip()
        path = _path(photo)
        if path is None:
            return None, _note("Choose a photo first."), gr.DownloadButton(interactive=False)
        names = [name for group in SLIDERS.values() for name, *_ in group]
        count = len(names)
        try:
            wanted = Sliders(**dict(zip(names, map(float, values[:count]), strict=True)))
            run = run_of(self._studio.run, _named(values[count:]), is_shipped=False)
            folder = self._storage.new_folder(_visit(request), "stills")
            made = self._studio.still(path, int(face or 0), wanted, run, folder)
        except Exception as error:
            return None, _error(error), gr.DownloadButton(interactive=False)
        return str(made), "", gr.DownloadButton(value=str(made), interactive=True)

    def animate(
        self,
        request: gr.Request,
        photo: Any,
        face: Any,
        kind: str,
        shipped: Any,
        clip: Any,
        other: Any,
        *values: Any,
    ) -> Iterator[tuple[Any, ...]]:
        """The button: progress, then the result."""
        visit = _visit(request)
        same = [gr.skip()] * 5
        job: Job[Made] | None = None
        try:
            path = _path(photo)
            if path is None:
                raise UserError("Choose a photo first: step 1.")
            target = _target(kind, shipped, clip, other)
            run = run_of(self._studio.run, _named(values), is_shipped=kind == "shipped")
            number, folder = int(face or 0), self._storage.new_folder(visit, "results")
            studio = self._studio
            job = Job(lambda job: studio.animate(job, path, number, target, run, folder))
            self._jobs[visit] = job
            busy = gr.Button(interactive=False), gr.Button(visible=True, interactive=True)
            yield _progress(job.progress), *busy, gr.Row(visible=False), *same[1:4], gr.skip()
            while not job.wait(POLL_SECONDS):
                yield _progress(job.progress), gr.skip(), gr.skip(), *same
            made = job.result()
        except Stopped:
            yield _note("Stopped."), *_ready(), *same
            return
        except Exception as error:
            yield _error(error), *_ready(), *same
            return
        finally:
            # Also when the visitor has gone: then this generator is closed.
            if job is not None:
                job.stop()
                self._jobs.pop(visit, None)
        shown = str(made.path)
        yield (
            "".join(map(_note, made.notes)),
            *_ready(),
            gr.Row(visible=True),
            str(path),
            gr.Video(value=None if made.is_picture else shown, visible=not made.is_picture),
            gr.Image(value=shown if made.is_picture else None, visible=made.is_picture),
            gr.DownloadButton(value=shown, visible=True),
        )

    def stop(self, request: gr.Request) -> Any:
        """The other button."""
        if job := self._jobs.get(_visit(request)):
            job.stop()
        return gr.Button(interactive=False)

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self.stop(request)
        self._storage.end(_visit(request))
        self._studio.forget()


def show_part(kind: str) -> tuple[Any, ...]:
    """The part of step 2 that was chosen. The sliders show their own result."""
    parts = (gr.Column(visible=name == kind) for name in KINDS)
    return *parts, gr.Column(visible=kind != "sliders")


def shipped_names() -> list[str]:
    folder = ASSETS_DIR / "motions"
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))


def _target(kind: str, shipped: Any, clip: Any, other: Any) -> Path:
    """The target that the open tab says. Raises UserError if there is none."""
    if kind == "shipped":
        if shipped not in shipped_names():
            raise UserError("Choose a motion: step 2.")
        return ASSETS_DIR / "motions" / f"{shipped}{SUFFIX}"
    path = _path(clip if kind == "video" else other)
    if path is None:
        what = "a video" if kind == "video" else "a picture or a motion file"
        raise UserError(f"Choose {what}: step 2.")
    return path


def _named(values: Any) -> dict[str, Any]:
    return {option.key: value for option, value in zip(OPTIONS, values, strict=True)}


def _path(sent: Any) -> Path | None:
    """The file of a component, whose value was not processed."""
    return Path(sent["path"]) if sent and sent.get("path") else None


def _visit(request: gr.Request) -> str:
    return str(request.session_hash)


def _ready() -> tuple[Any, Any]:
    return gr.Button(interactive=True), gr.Button(visible=False)


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>'


def _error(error: Exception) -> str:
    """One line. What is no error of the user's is printed on the terminal too."""
    if isinstance(error, UserError):
        text = str(error)
    else:
        traceback.print_exception(error, file=sys.stderr)
        text = "Something went wrong. The terminal that runs the page says more."
    return f'<p class="error" role="alert">{html.escape(" ".join(text.split()))}</p>'


def _progress(progress: Progress) -> str:
    share = progress.done / progress.total if progress.total else 0.0
    parts = [progress.doing]
    if progress.total > 1:
        parts.append(f"frame {progress.done} of {progress.total}")
    left = progress.seconds_left
    if left is not None and progress.done > 1:
        parts.append(f"about {_duration(left)} left")
    return (
        f'<div class="progress" role="progressbar" aria-valuenow="{100 * share:.0f}" '
        f'aria-valuemin="0" aria-valuemax="100"><div style="width: {100 * share:.1f}%"></div></div>'
        f'<p class="note">{html.escape(", ".join(parts))}</p>'
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes"
