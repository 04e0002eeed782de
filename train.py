"""Train one stage: python train.py --config configs/embedded/autoencoder.yaml"""

import sys

from reenact.commands.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", "train.py", sys.argv[1:]))
