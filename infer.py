"""Animate the face of a photo with the motion of a video: python infer.py photo.jpg video.mp4"""

import sys

from reenact.commands.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("infer", "infer.py", sys.argv[1:]))
