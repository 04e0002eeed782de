"""Train one stage: python train.py --config configs/embedded/autoencoder.yaml"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C during the imports below
    import sys

    from reenact.commands.main import run_command

    sys.exit(run_command("train", "train.py", sys.argv[1:]))
