"""python -m reenact COMMAND: the same as `diffusionact COMMAND`."""

import sys

from reenact.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
