"""The server of the page: on this computer only, and with nothing from outside."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reenact.assets import asset_path
from reenact.errors import UserError
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun
from reenact.media.animation import open_clip
from reenact.media.images import write_frame
from reenact.web.storage import Storage
from reenact.web.studio import Studio

SWEEP_SECONDS = 300.0

POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ]
)
"""The browser refuses to load anything from another place, whatever the page asks for."""

_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SHARE": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


class Server:
    """Serves the page until `close`.

    host, port: where it listens; port None takes a free one from 7860 on.
    max_upload_mb: larger files are refused.
    """

    def __init__(
        self,
        reenactor: Reenactor,
        run: InferRun,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        max_upload_mb: int = 200,
        open_browser: bool = False,
    ) -> None:
        self.storage = Storage()
        self._closed = threading.Event()
        try:
            os.environ |= _ENVIRONMENT | {"GRADIO_TEMP_DIR": str(self.storage.files)}
            load_gradio()
            from reenact.web.page import build
            from reenact.web.style import CSS, theme

            page = build(Studio(reenactor, run), self.storage, _example(self.storage.root))
            self.storage.keep_present()
            self._page = page
            _, self.url, self.share_url = page.launch(
                server_name=host,
                server_port=port,
                share=False,
                inbrowser=open_browser,
                prevent_thread_lock=True,
                quiet=True,
                max_file_size=f"{max_upload_mb}mb",
                footer_links=[],
                run_history=False,
                ssr_mode=False,
                mcp_server=False,
                enable_monitoring=False,
                app_kwargs={"middleware": [_policy_middleware()]},
                theme=theme(),
                css=CSS,
            )
        except OSError as error:
            self.storage.close()
            raise UserError(
                f"port {port}: the page cannot be served there, choose another --port"
            ) from error
        except BaseException:
            self.storage.close()
            raise
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def wait(self) -> None:
        """Until `close`, or an exception such as KeyboardInterrupt."""
        self._closed.wait()

    def close(self) -> None:
        """Stop serving and remove all files."""
        self._closed.set()
        self._page.close(verbose=False)
        self.storage.close()

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            self.storage.sweep()


def load_gradio() -> Any:
    """The module gradio. Raises UserError if the extra is not installed."""
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            "the page needs a package that is not installed: pip install gradio"
        ) from error
    return gradio


def _policy_middleware() -> Any:
    from starlette.middleware import Middleware

    return Middleware(_Policy)


class _Policy:
    """Adds headers to every answer (ASGI middleware)."""

    HEADERS = (
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    )

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self.HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)


def _example(folder: Path) -> Path:
    """The first frame of the shipped video, as a second photo."""
    path = folder / "example.png"
    write_frame(path, next(iter(open_clip(asset_path("demo_target.mp4"), fps=None))))
    return path
