"""Make the picture of docs/web.md: the page on a desktop, and its sliders on a phone.

    python -m tools.build_web_picture       writes docs/pictures/web.jpg, in a few minutes

It needs what `make browser` needs: the package of the page, Chromium and playwright.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from reenact.assets import asset_path
from reenact.errors import UserError, exit_code
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.web.server import Server
from reenact.web.studio import page_run

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "web.jpg"
DESKTOP, PHONE = {"width": 1080, "height": 900}, {"width": 390, "height": 844}
WIDTH = 1200
"""Width of the picture in pixels."""
GAP, QUALITY = 20, 85
PATIENCE_MS = 600_000
"""How long to wait for a result of the page."""
PHOTO = asset_path("demo_source.png")
SLIDERS = {"yaw": "15", "smile": "0.8"}


def desktop(page: Any) -> bytes:
    """The whole page after the motion `smile`, as a PNG. The result stands still at its middle."""
    page.set_viewport_size(DESKTOP)
    page.set_input_files("#photo input[type=file]", str(PHOTO))
    page.wait_for_selector("#photo img")
    page.click("#animate")
    page.wait_for_selector("#moving video")
    page.wait_for_function(
        """() => {
            const video = document.querySelector("#moving video");
            if (!(video.duration > 0)) return false;
            video.pause();
            video.currentTime = video.duration / 2;
            return true; }"""
    )
    return _seen(page)


def phone(page: Any) -> bytes:
    """The whole page with the sliders moved, as a PNG."""
    page.set_viewport_size(PHONE)
    page.click('#kind label:has-text("Sliders")')
    page.wait_for_selector("#still img")
    before = page.get_attribute("#still img", "src")
    for name, value in SLIDERS.items():
        page.fill(f"#slider-{name} input[type=number]", value)
        page.press(f"#slider-{name} input[type=number]", "Enter")
    page.wait_for_function(
        "before => document.querySelector('#still img')?.src !== before", arg=before
    )
    page.wait_for_timeout(10_000)  # each slider gives a picture of its own
    return _seen(page)


def _seen(page: Any) -> bytes:
    page.mouse.move(0, 0)  # no button looks touched
    page.wait_for_timeout(2_000)
    shot: bytes = page.screenshot(full_page=True)
    return shot


def side_by_side(shots: list[bytes]) -> Image.Image:
    """The pictures in one height, `WIDTH` pixels wide together."""
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    shares = sum(picture.width / picture.height for picture in pictures)
    height = round((WIDTH - GAP * (len(pictures) - 1)) / shares)
    sheet = Image.new("RGB", (WIDTH, height), "white")
    x = 0
    for picture in pictures:
        width = round(picture.width * height / picture.height)
        sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (x, 0))
        x += width + GAP
    return sheet


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise UserError("no chromium here, run apt-get install chromium")
    run = page_run(InferRun(), "auto")
    server = Server(Reenactor.load(config=run.reenactor), run)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(server.url)
            page.wait_for_selector("#animate")
            shots = [desktop(page), phone(page)]
            browser.close()
    finally:
        server.close()
    side_by_side(shots).save(OUT, quality=QUALITY)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
