"""The one entry point: `diffusionact COMMAND ...`, `python -m reenact COMMAND ...`, the scripts."""

import importlib
import os
import sys
from pathlib import Path

from reenact.commands.arguments import Parser, check_config
from reenact.errors import exit_code, suggestion
from reenact.memory import keep_freed_memory
from reenact.version import __version__

COMMANDS = {
    "infer": ("reenact.commands.infer", "animate a photo with a video or a picture"),
    "pose": ("reenact.commands.pose", "change pose and expression of a photo with sliders"),
    "faces": ("reenact.commands.faces", "number the faces of a photo or video"),
    "motion": ("reenact.commands.motion", "write the motion of a video to a small file"),
    "batch": ("reenact.commands.batch", "animate many photos or videos with many targets"),
    "live": ("reenact.commands.live", "animate a photo with a camera"),
    "web": ("reenact.commands.web", "a page in the browser for all of this"),
    "train": ("reenact.commands.train", "train one stage"),
    "curves": ("reenact.commands.curves", "draw the curves of a training run"),
    "eval": ("reenact.commands.evaluate", "measure a reenactor or any method's results"),
    "benchmark": ("reenact.commands.benchmark", "write the benchmark for any method"),
    "prepare": ("reenact.commands.prepare", "turn raw videos into tracked face crops"),
    "synthetic": ("reenact.commands.synthetic", "generate clips of synthetic people"),
    "synthetic-raw": ("reenact.commands.synthetic_raw", "the same as raw videos, for a dry run"),
    "synthetic-sheet": ("reenact.commands.synthetic_sheet", "a contact sheet of such people"),
    "dryrun": ("reenact.commands.dryrun", "raw videos to report in minutes, all synthetic"),
    "publish": ("reenact.commands.publish", "weights with a model card, for the Hugging Face Hub"),
    "export": ("reenact.commands.export", "write the networks as ONNX or torch.export files"),
    "weights": ("reenact.commands.weights", "list and check the files that you can download"),
    "configs": ("reenact.commands.configs", "list or copy the shipped configs"),
}
"""A command is a module with a docstring, `add_arguments(parser)` and `run(arguments)`.

The modules import torch and everything heavy inside of `run`: `--help` and a wrong option answer
at once.
"""


def main() -> int:
    """`diffusionact`: run the command that the first argument names; the exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        print(f"diffusionact-open {__version__}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        hint = suggestion(name, COMMANDS) or f"; {program()} --help lists the commands"
        print(f"error: no command {name!r}{hint}", file=sys.stderr)
        return 2
    return run_command(name, f"{program()} {name}", arguments[1:])


def program() -> str:
    """How the user called this program."""
    return "python -m reenact" if Path(sys.argv[0]).name == "__main__.py" else "diffusionact"


def run_command(name: str, prog: str, arguments: list[str]) -> int:
    """Parse the arguments of one command, run it, and return its exit code.

    prog: what the help calls the command.
    """
    _let_waiting_threads_sleep(at_once=name != "train")

    def work() -> None:
        keep_freed_memory()
        module = importlib.import_module(COMMANDS[name][0])
        parser = Parser(prog, str(module.__doc__))
        module.add_arguments(parser)
        given = parser.parse_args(arguments)
        check_config(given)
        module.run(given)

    return exit_code(work)


def _let_waiting_threads_sleep(*, at_once: bool) -> None:
    """Threads of torch that wait for each other sleep. By default they count to a large number.

    Where other programs want the processor too, this counting takes most of it. On a free machine
    waking up takes some hundredths of a millisecond for each operation. In training, where
    operations with several threads are many, that is too much. So there they count to a small
    number first. torch reads the variables when it is imported.
    """
    if not at_once:
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        return
    for variable, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("KMP_BLOCKTIME", "0")):
        os.environ.setdefault(variable, value)


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {program()} COMMAND [--help] ...",
            "",
            *lines,
            "",
            "--version prints the version.",
        ]
    )
