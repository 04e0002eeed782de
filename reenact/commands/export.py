"""Write the networks for other programs: python -m reenact export --onnx DIR

Each network becomes one file, and manifest.json describes their inputs and outputs. Every file is
run and compared with torch before it is written.
"""

import argparse
from pathlib import Path

from reenact.errors import UsageError, say
from reenact.files import make_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--onnx",
        type=Path,
        metavar="DIR",
        help="write ONNX files; needs onnx, onnxscript, onnxruntime (default: none)",
    )
    parser.add_argument(
        "--torch-export",
        type=Path,
        metavar="DIR",
        help="write programs of torch.export, .pt2 (default: none)",
    )
    parser.add_argument(
        "--weights", type=Path, help="reenactor weights (default: the shipped ones)"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="networks to write, e.g. unet (default: all)"
    )


def run(arguments: argparse.Namespace) -> None:
    folders = {"onnx": arguments.onnx, "pt2": arguments.torch_export}
    if not any(folders.values()):
        raise UsageError("nothing to write, give --onnx DIR or --torch-export DIR")
    from reenact.assets import EMBEDDED_WEIGHTS, asset_path
    from reenact.inference.export import export_onnx, export_program, networks_of, write_manifest
    from reenact.models.checkpoint import load_reenactor

    weights = load_reenactor(arguments.weights or asset_path(EMBEDDED_WEIGHTS))
    networks = networks_of(weights)
    names = [network.name for network in networks]
    if unknown := [name for name in arguments.only or () if name not in names]:
        raise UsageError(f"--only {unknown[0]}: must be one of {', '.join(names)}")
    networks = [n for n in networks if arguments.only is None or n.name in arguments.only]
    for (suffix, folder), write in zip(folders.items(), (export_onnx, export_program), strict=True):
        if folder is None:
            continue
        make_folder(folder)
        for network in networks:
            difference = write(network, folder)
            path = folder / f"{network.name}.{suffix}"
            size = path.stat().st_size / 1e6
            say(f"{path}: {size:.1f} MB, differs from torch by {difference:.0e}")
        write_manifest(networks, weights, folder)
