"""Animate the face of a photo with the motion of a video: python infer.py photo.jpg video.mp4"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C during the imports below
    import sys

    from reenact.commands.main import run_command

    sys.exit(run_command("infer", "infer.py", sys.argv[1:]))
