"""Animates the face of a photo with the motion of a video or a picture."""

import argparse
import sys
from pathlib import Path

from reenact.errors import exit_code
from reenact.files import check_input_file

CONFIG = Path(__file__).resolve().parent / "configs" / "embedded" / "infer.yaml"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Without source and target: the demo, into results/demo.mp4."
    )
    parser.add_argument("source", nargs="?", type=Path, help="photo of the face to animate")
    parser.add_argument("target", nargs="?", type=Path, help="video or picture that gives motion")
    parser.add_argument(
        "--output", type=Path, help="default: results/<source>_<target>.mp4, .png for a picture"
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="default: %(default)s")
    parser.add_argument("--num-steps", type=int, help="sampling steps of each frame")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"))
    parser.add_argument("--seed", type=int, help="seed of the noise, where x_T has any")
    parser.add_argument("--grid", action="store_true", help="write source | target | result")
    parser.add_argument(
        "--relative", action="store_true", help="take the change since the first target frame"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value"
    )
    args = parser.parse_args()
    if args.source is not None and args.target is None:
        parser.error("give both source and target, or none for the demo")
    return args


def overrides(args: argparse.Namespace) -> list[str]:
    """The options as config overrides; --set comes last and wins."""
    options = {
        "reenactor.num_steps": args.num_steps,
        "reenactor.precision": args.precision,
        "reenactor.seed": args.seed,
        "motion": "relative" if args.relative else None,
    }
    return [f"{k}={v}" for k, v in options.items() if v is not None] + args.set


def main() -> None:
    args = parse_args()
    for path in (args.source, args.target):
        if path is not None:
            check_input_file(path)
    # Imported late: neither --help nor a mistyped path should wait for torch.
    from reenact.assets import asset_path
    from reenact.config import load_config
    from reenact.inference.paths import default_output
    from reenact.inference.pipeline import reenact_files
    from reenact.inference.run_config import InferRun

    run = load_config(args.config, InferRun, overrides(args))
    if args.source is None:
        source, target = asset_path("demo_source.png"), asset_path("demo_target.mp4")
        output = args.output or Path("results") / "demo.mp4"
    else:
        source, target = args.source, args.target
        output = args.output or default_output(source, target)
    done = reenact_files(source, target, output, run, device=args.device, grid=args.grid)
    print(
        f"{done.output}: {done.num_frames} frame{'s' * (done.num_frames != 1)} "
        f"in {done.seconds:.1f} s, rendered at {done.num_frames / done.render_seconds:.1f} frames/s"
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
