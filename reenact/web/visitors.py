"""The events of the page: what happens when its visitors send something or press a button.

Values of components arrive as the browser sent them (`preprocess=False` in `page`), so that all
checks and errors are the package's own.
"""

from __future__ import annotations

import html
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from reenact.errors import UserError
from reenact.inference.shipped_motions import shipped_motion, shipped_names
from reenact.web.job import Job, Progress, Stopped
from reenact.web.options import OPTIONS, SLIDERS, keys_of, run_of, sliders_of
from reenact.web.storage import Storage
from reenact.web.studio import ALL, LARGEST, Made, Studio

ONE_FACE = [("the largest", LARGEST)]
POLL_SECONDS = 0.2


class Visitors:
    """The events of the page. A visit is one open page."""

    def __init__(self, studio: Studio, storage: Storage) -> None:
        self._studio, self._storage = studio, storage
        self._jobs: dict[str, Job[Made]] = {}

    def look(
        self, source_kind: str, photo: Any, person: Any, request: gr.Request
    ) -> tuple[Any, ...]:
        """A photo or a video of the person came or went."""
        path = self._source(request, source_kind, photo, person)
        alone = gr.Column(visible=False), None, gr.Radio(ONE_FACE, value=LARGEST), None
        if path is None:
            return "", *alone
        try:
            faces, numbered = self._studio.faces(path)
        except Exception as error:
            return _error(error), *alone
        if len(faces) == 1:
            return "", *alone
        choices = [*ONE_FACE, ("all", ALL), *((str(face.number), face.number) for face in faces)]
        said = _note(f"{len(faces)} faces. Choose who shall move.")
        return said, gr.Column(visible=True), numbered, gr.Radio(choices, value=LARGEST), None

    def sent_clip(self, sent: Any, request: gr.Request) -> None:
        """A video came or went."""
        self._used(request, "clip", sent)

    def sent_file(self, sent: Any, request: gr.Request) -> None:
        """A picture or a motion file came or went."""
        self._used(request, "file", sent)

    def pose(
        self,
        request: gr.Request,
        kind: str,
        source_kind: str,
        photo: Any,
        person: Any,
        face: Any,
        *values: Any,
    ) -> tuple[Any, ...]:
        """A slider moved."""
        if kind != "sliders":
            return gr.skip(), gr.skip(), gr.skip()
        path = self._source(request, source_kind, photo, person)
        if path is None or source_kind == "person":
            return None, _note("Choose a photo first."), gr.DownloadButton(interactive=False)
        sliders = keys_of(SLIDERS)
        try:
            named = dict(zip([*sliders, *keys_of(OPTIONS)], values, strict=True))
            wanted = sliders_of({key: named.pop(key) for key in sliders})
            run = run_of(self._studio.run, named, is_shipped=False)
            folder = self._storage.new_folder(_visit(request), "stills")
            made = self._studio.still(path, int(face or LARGEST), wanted, run, folder)
        except Exception as error:
            return None, _error(error), gr.DownloadButton(interactive=False)
        return str(made), "", gr.DownloadButton(value=str(made), interactive=True)

    def animate(
        self,
        request: gr.Request,
        source_kind: str,
        photo: Any,
        person: Any,
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
            path = self._source(request, source_kind, photo, person)
            if path is None:
                what = "a video" if source_kind == "person" else "a photo"
                raise UserError(f"Choose {what} first: step 1.")
            clip, other = self._used(request, "clip", clip), self._used(request, "file", other)
            named = dict(zip(keys_of(OPTIONS), values, strict=True))
            target = _target(kind, shipped, clip, other)
            run = run_of(self._studio.run, named, is_shipped=kind == "shipped")
            number, folder = int(face or LARGEST), self._storage.new_folder(visit, "results")
            studio = self._studio
            job = Job(lambda job: studio.animate(job, path, number, target, run, folder))
            self._jobs[visit] = job
            busy = gr.Button(interactive=False), gr.Button(visible=True, interactive=True)
            hidden = gr.Row(visible=False), *same[1:4], gr.DownloadButton(visible=False)
            yield _progress(job.progress), *busy, *hidden
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
            str(made.before),
            gr.Video(value=None if made.is_picture else shown, visible=not made.is_picture),
            gr.Image(value=shown if made.is_picture else None, visible=made.is_picture),
            gr.DownloadButton(value=shown, visible=True),
        )

    def _source(
        self, request: gr.Request, source_kind: str, photo: Any, person: Any
    ) -> Path | None:
        """The photo or the video of step 1, whichever is chosen."""
        paths = {
            "photo": self._used(request, "photo", photo),
            "person": self._used(request, "person", person),
        }
        return paths.get(source_kind)

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

    def _used(self, request: gr.Request, purpose: str, sent: Any) -> Path | None:
        """The file of a component, which is in use from now on."""
        path = Path(sent["path"]) if sent and sent.get("path") else None
        self._storage.use(_visit(request), purpose, path)
        return path


def waiting() -> str:
    """What the page says until it is the visitor's turn."""
    return _note("Waiting until the work of others is done.")


def _target(kind: str, shipped: Any, clip: Path | None, other: Path | None) -> Path:
    """The target that the open tab says. Raises UserError if there is none."""
    if kind == "shipped":
        if shipped not in shipped_names():
            raise UserError("Choose a motion: step 2.")
        return shipped_motion(f"@{shipped}")
    path = clip if kind == "video" else other
    if path is None:
        what = "a video" if kind == "video" else "a picture or a motion file"
        raise UserError(f"Choose {what}: step 2.")
    return path


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
