"""The page, clicked through in headless Chromium."""

import itertools
import os
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reenact.assets import asset_path
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.images import read_frame
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter
from reenact.web.server import Server
from reenact.web.studio import page_run

pytestmark = pytest.mark.browser
PHOTO, CLIP = asset_path("demo_source.png"), asset_path("demo_target.mp4")
PATIENCE = 120_000  # milliseconds: a busy machine renders slowly
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    return path


@pytest.fixture(scope="module")
def server(chromium):
    pytest.importorskip("gradio", reason="no gradio: pip install gradio")
    pytest.importorskip("playwright", reason="no playwright: pip install playwright")
    run = page_run(InferRun(max_side=160), "cpu")
    before = dict(os.environ)
    reenactor = Reenactor.load(device="cpu", config=run.reenactor)
    made = Server(reenactor, run, max_upload_mb=2)
    yield made
    made.close()
    assert not made.storage.root.exists()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def browser(chromium, server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """An open page. It asks for nothing from outside, and has no error of its own."""
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    page.wait_for_selector("#animate")
    yield page
    context.close()
    outside = [url for url in asked if not url.startswith((server.url, "data:", "blob:", "ws:"))]
    assert outside == []
    assert complaints == []


def choose(page, kind: str) -> None:
    page.click(f'#kind label:has-text("{kind}")')


def send(page, field: str, path: Path) -> None:
    page.set_input_files(f"{field} input[type=file]", str(path))


def says(page, place: str = "#says") -> str:
    return page.inner_text(f"{place} p").strip()


def uploads(server) -> set[str]:
    kept = server.storage._kept
    return {path.name for path in server.storage.files.rglob("*.*") if path not in kept}


def short_clip(path: Path, num_frames: int = 4) -> Path:
    clip = VideoReader(CLIP, max_frames=num_frames)
    with VideoWriter(path, width=clip.width, height=clip.height, fps=Fraction(25)) as writer:
        for frame in clip:
            writer.write(frame)
    return path


def test_a_photo_and_a_clip_become_a_video_that_plays(visit, server, tmp_path):
    page = visit
    photo = tmp_path / "somebody.png"
    shutil.copyfile(PHOTO, photo)
    send(page, "#photo", photo)
    page.wait_for_selector("#photo img")
    choose(page, "Video")
    send(page, "#clip", short_clip(tmp_path / "moves.mp4"))
    page.wait_for_selector("#clip video")
    page.click("#animate")
    page.wait_for_selector("#moving video")
    state = """() => {
        const video = document.querySelector("#moving video");
        return video && video.readyState >= 3 && video.currentTime > 0
            ? [video.videoWidth, video.videoHeight, video.duration] : null; }"""
    width, height, seconds = page.wait_for_function(state).json_value()
    assert (width, height) == (160, 160)
    assert abs(seconds - 4 / 25) < 0.05
    with page.expect_download() as download:
        page.click("#download")
    name = download.value.suggested_filename
    assert name == "somebody_moves.mp4"
    download.value.save_as(tmp_path / name)
    assert len(list(VideoReader(tmp_path / name))) == 4
    assert b"Synthetic" in (tmp_path / name).read_bytes()

    assert uploads(server) == {"somebody.png", "moves.mp4", name}
    page.close()
    deadline = time.monotonic() + 60
    while uploads(server) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert uploads(server) == set(), "closing the page deletes the files"


def test_a_wrong_file_is_one_line(visit, tmp_path):
    page = visit
    page.click("#animate")
    page.wait_for_selector("#says .error")
    assert says(page) == "Choose a photo first: step 1."
    wrong = tmp_path / "wrong${1+1}.jpg"  # Gradio's templates must not run it
    wrong.write_text("this is no picture")
    send(page, "#photo", wrong)
    page.wait_for_selector(".card .error")
    assert re.fullmatch(
        r"wrong\$?\{?1\+?1\}?.jpg: is not a picture that can be read, .*",
        says(page, ".card:has(#photo) .says"),
    )
    page.click("#photos .gallery-item >> nth=0")
    page.wait_for_selector("#photo img")
    page.wait_for_selector(".card:has(#photo) .error", state="hidden")
    choose(page, "File")
    page.click("#animate")
    page.wait_for_function("document.querySelector('#says').innerText.includes('motion file')")
    text = tmp_path / "wrong.mp4"
    text.write_text("this is no video")
    send(page, "#other", text)
    page.wait_for_selector("#other :text('wrong')")
    page.click("#animate")
    page.wait_for_function("document.querySelector('#says').innerText.includes('wrong.mp4')")
    line = says(page)
    assert line.startswith("wrong.mp4: is not a video that can be read")
    assert "\n" not in line
    assert "/" not in line


def test_a_file_that_is_too_large_is_refused(visit, server, tmp_path):
    page = visit
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)).save(
        tmp_path / "large.png"
    )
    send(page, "#photo", tmp_path / "large.png")
    page.wait_for_selector(".toast-body")
    assert "2" in page.inner_text(".toast-body")
    assert "large.png" not in uploads(server)


def test_stop_stops_the_rendering(visit, server, monkeypatch):
    rendered = []
    original = Reenactor.render

    def render(self, state, faces):
        rendered.append(len(faces))
        time.sleep(0.3)  # so that the page shows the progress before the work is done
        return original(self, state, faces)

    monkeypatch.setattr(Reenactor, "render", render)
    page = visit
    page.click("#photos .gallery-item >> nth=1")
    page.wait_for_selector("#photo img")
    page.click('#shipped label:has-text("Nod")')
    page.click("#animate")
    page.wait_for_function("document.querySelector('#says').innerText.includes('frame')")
    page.wait_for_selector("#animate:disabled")
    page.click("#stop")
    page.wait_for_function("document.querySelector('#says').innerText.includes('Stopped')")
    count = len(rendered)
    assert sum(rendered) < 40
    time.sleep(1.5)
    assert len(rendered) == count
    assert not any(thread.name == "job" for thread in threading.enumerate())
    page.wait_for_selector("#animate:enabled")
    page.wait_for_selector("#stop", state="hidden")
    assert not page.is_visible("#moving video")


def test_sliders_show_a_still_and_options_reach_it(visit, tmp_path):
    page = visit
    page.click("#photos .gallery-item >> nth=0")
    page.wait_for_selector("#photo img")
    choose(page, "Sliders")
    page.wait_for_selector("#still img")
    first = page.get_attribute("#still img", "src")
    page.fill("#slider-yaw input[type=number]", "20")
    page.press("#slider-yaw input[type=number]", "Enter")
    page.wait_for_function(
        "before => document.querySelector('#still img')?.getAttribute('src') !== before", arg=first
    )
    page.wait_for_selector("#still-file:not([disabled])")
    with page.expect_download() as download:
        page.click("#still-file")
    download.value.save_as(tmp_path / "still.png")
    assert read_frame(tmp_path / "still.png").shape == (160, 160, 3)
    assert not page.is_visible("#animate"), "the sliders show their result at once"


def test_several_faces_can_be_chosen(visit, tmp_path):
    page = visit
    frames = [read_frame(PHOTO), next(iter(VideoReader(CLIP)))]
    Image.fromarray(np.hstack(frames)).save(tmp_path / "group.png")
    send(page, "#photo", tmp_path / "group.png")
    page.wait_for_selector("#preview img")
    assert says(page, ".card:has(#photo) .says").startswith("2 faces.")
    labels = [item.inner_text().strip() for item in page.query_selector_all("#face label")]
    assert labels == ["the largest", "all", "1", "2"]
    page.click('#face label:has-text("all")')
    page.click("#options > button")
    page.fill("#option-max_frames input", "2")
    page.click("#animate")
    page.wait_for_selector("#moving video")


def test_a_video_can_be_the_source(visit, tmp_path):
    page = visit
    page.click('#source-kind label:has-text("Video")')
    page.click("#animate")
    page.wait_for_selector("#says .error")
    assert says(page) == "Choose a video first: step 1."
    send(page, "#person", short_clip(tmp_path / "person.mp4", num_frames=9))
    page.wait_for_selector("#person video")
    for field in ("#person", "#clip"):  # the buttons below a video are not cut off
        if field == "#clip":
            choose(page, "Video")
            send(page, "#clip", short_clip(tmp_path / "moves.mp4", num_frames=3))
            page.wait_for_selector("#clip video")
        outer = page.locator(field).bounding_box()
        inner = page.locator(f"{field} .source-selection").bounding_box()
        assert inner["y"] + inner["height"] <= outer["y"] + outer["height"]
    page.click("#animate")
    page.wait_for_selector("#moving video")
    page.wait_for_selector("#before img")
    assert says(page).endswith("the result ends with the shorter one")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "person_moves.mp4"


def test_it_fits_on_a_phone(browser, server, visit):
    page = visit
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    boxes = [page.locator(".card").nth(i).bounding_box() for i in range(3)]
    assert all(box["width"] > 0.85 * PHONE["width"] for box in boxes)
    assert all(a["y"] + a["height"] <= b["y"] for a, b in itertools.pairwise(boxes))
    assert page.locator("#animate").bounding_box()["height"] >= 44  # for a thumb


def test_it_listens_on_this_computer_only(server):
    assert server.url.startswith("http://127.0.0.1:")
    assert server.share_url is None
    with urllib.request.urlopen(server.url) as answer:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(server.url + "gradio_api/file=/etc/passwd")
