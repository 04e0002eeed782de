"""Open the page in the browser: a photo, a motion, the result.

The page listens on this computer only. Ctrl-C ends it and removes all uploads and results.
"""

import argparse

from reenact.commands.arguments import add_config, add_device, read_config
from reenact.errors import UsageError, say

LOCAL = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="port (default: a free one, from 7860 on)")
    parser.add_argument(
        "--host",
        default=LOCAL,
        help="address to listen on; another one lets others use the page (default: %(default)s)",
    )
    parser.add_argument(
        "--max-upload", type=int, default=200, metavar="MB", help="largest upload (default: 200)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address and open nothing"
    )
    add_config(parser, default="embedded/infer")
    add_device(parser)


def run(arguments: argparse.Namespace) -> None:
    if arguments.port is not None and not 1 <= arguments.port <= 65535:
        raise UsageError(f"--port: must be from 1 to 65535, got {arguments.port}")
    if arguments.max_upload < 1:
        raise UsageError(f"--max-upload: must be at least 1, got {arguments.max_upload}")
    from reenact.device import pick_device
    from reenact.inference.inputs import load_for
    from reenact.inference.run_config import InferRun
    from reenact.web.server import Server, load_gradio
    from reenact.web.studio import page_run

    settings = read_config(arguments, InferRun)
    load_gradio()
    settings = page_run(settings, pick_device(arguments.device).type)
    server = Server(
        load_for(settings, arguments.device),
        settings,
        host=arguments.host,
        port=arguments.port,
        max_upload_mb=arguments.max_upload,
        open_browser=not arguments.no_browser,
    )
    try:
        say(f"The page is at {server.url} (Ctrl-C ends it)")
        if arguments.host != LOCAL:
            say("Everybody who reaches this address can use it.")
        server.wait()
    except KeyboardInterrupt:
        say("ended; uploads and results are removed")
    finally:
        server.close()
