"""List every weights file that a config can use: what it is, where it is from, whether it is here.

A file that is here is loaded strictly. If it does not fit, the first wrong key is named. Nothing is
downloaded. The open (embedded) way needs none of these files.
"""

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reenact.errors import UserError, say
from reenact.face.released.files import PLACES


@dataclass(frozen=True, kw_only=True)
class ExternalFile:
    """A file that the user downloads.

    name: short name for `--only`. place: path below the weights folder, or a pattern. purpose: what
    it does here, and for which config key. page: where it is from. sha256: how it begins, where the
    publisher says it. size: in MB, where known. check: loads the file strictly, raises an error if
    it is another one.
    """

    name: str
    place: str
    purpose: str
    page: str
    licence: str
    check: Callable[[Path], object]
    sha256: str = ""
    size: int | None = None


def _diffae(path: Path) -> object:
    from diffae import load_checkpoint

    return load_checkpoint(path)


def _diffusionact(path: Path) -> object:
    import torch

    from reenact.models.released import load_released

    beside = path.with_name("last.ckpt")
    return load_released(path, beside if beside.is_file() else None, torch.device("cpu"))


def _emoca(path: Path) -> object:
    from reenact.face.released.emoca import load_emoca

    return load_emoca(path)


def _gaze(path: Path) -> object:
    from reenact.face.released.gaze_net import GazeNet

    return GazeNet.from_file(path)


def _s3fd(path: Path) -> None:
    from reenact.face.released.landmarks import build_networks, load_weights

    load_weights(build_networks()[0], path, "S3FD")


def _fan(path: Path) -> None:
    from reenact.face.released.landmarks import build_networks, load_weights

    load_weights(build_networks()[1], path, "2D-FAN-4")


def _arcface(path: Path) -> object:
    from reenact.models.arcface import ArcFace

    return ArcFace.from_file(path)


def _vgg(path: Path) -> object:
    from reenact.models.lpips_net import LpipsNet

    return LpipsNet("vgg", path)


def _inception(path: Path) -> object:
    import torch

    from reenact.evaluation.measuring.judges import scripted_inception

    return scripted_inception(path, torch.device("cpu"))


def _i3d(path: Path) -> object:
    import torch

    from reenact.evaluation.measuring.judges import scripted_i3d

    return scripted_i3d(path, torch.device("cpu"))


FILES = (
    ExternalFile(
        name="diffae",
        place=str(PLACES["diffae"]),
        purpose="DiffAE ffhq256_autoenc: start of training at 256 px (init of voxceleb256/align)",
        page="https://github.com/phizaz/diffae",
        licence="MIT",
        check=_diffae,
    ),
    ExternalFile(
        name="diffusionact",
        place=str(PLACES["diffusionact"]),
        purpose="the authors' DiffusionAct (config released; init of training)",
        page="https://github.com/StelaBou/DiffusionAct",
        licence="on that page",
        check=_diffusionact,
    ),
    ExternalFile(
        name="emoca",
        place=str(PLACES["emoca"]),
        purpose="EMOCA v2 with the FLAME head model (config released)",
        page="https://emoca.is.tue.mpg.de (registration)",
        licence="non-commercial research",
        check=_emoca,
    ),
    ExternalFile(
        name="gaze",
        place=str(PLACES["gaze"]),
        purpose="ETH-XGaze, direction of gaze (config released)",
        page="https://ait.ethz.ch/xgaze",
        licence="CC BY-NC-SA 4.0",
        check=_gaze,
    ),
    ExternalFile(
        name="s3fd",
        place=str(PLACES["s3fd"]),
        purpose="face detector (config released)",
        page="https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",
        licence="BSD 3-Clause",
        sha256="619a316812",
        check=_s3fd,
    ),
    ExternalFile(
        name="fan",
        place=str(PLACES["fan"]),
        purpose="2D-FAN-4, 68 landmarks (config released)",
        page="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
        licence="BSD 3-Clause",
        sha256="11f355bf06",
        check=_fan,
    ),
    ExternalFile(
        name="arcface",
        place="backbone.pth",
        purpose="ArcFace iresnet50: csim (judges.identity_weights), loss (reenact.nets)",
        page="https://github.com/deepinsight/insightface",
        licence="non-commercial",
        check=_arcface,
    ),
    ExternalFile(
        name="vgg",
        place="vgg16-397923af.pth",
        purpose="VGG-16 for LPIPS: judges.perceptual_weights, reenact.nets (AlexNet ships)",
        page="https://download.pytorch.org/models/vgg16-397923af.pth",
        licence="BSD 3-Clause",
        sha256="397923af",
        size=528,
        check=_vgg,
    ),
    ExternalFile(
        name="inception",
        place="inception-2015-12-05.pt",
        purpose="TorchScript Inception: fid (judges.inception)",
        page="https://github.com/GaParmar/clean-fid",
        licence="on that page",
        size=91,
        check=_inception,
    ),
    ExternalFile(
        name="i3d",
        place="i3d_torchscript.pt",
        purpose="TorchScript I3D: fvd (judges.i3d)",
        page="https://github.com/universome/stylegan-v",
        licence="on that page",
        check=_i3d,
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("weights"),
        help="where the files are (default: %(default)s)",
    )
    names = [file.name for file in FILES]
    parser.add_argument(
        "--only",
        choices=names,
        nargs="+",
        metavar="NAME",
        help=f"{', '.join(names)} (default: all)",
    )


def run(arguments: argparse.Namespace) -> None:
    chosen = [file for file in FILES if arguments.only is None or file.name in arguments.only]
    results = [(file, *state(file, arguments.folder)) for file in chosen]
    for file, path, problem in results:
        verdict = "missing" if path is None else problem or "ok"
        size = f", {file.size} MB" if file.size else ""
        say(
            f"{file.name}: {verdict}\n"
            f"    {path or arguments.folder / file.place}\n"
            f"    {file.purpose}\n"
            f"    {file.page}, licence: {file.licence}{size}"
        )
    wrong = [file.name for file, _, problem in results if problem]
    if wrong:
        raise UserError(f"{', '.join(wrong)}: not the file that is meant, download it again")


def state(file: ExternalFile, folder: Path) -> tuple[Path | None, str | None]:
    """Where the file is (None: missing), and what is wrong with it (None: nothing)."""
    path = next(iter(sorted(folder.glob(file.place))), None)
    if path is None or not path.is_file():
        return None, None
    if file.sha256 and not _sha256(path).startswith(file.sha256):
        return path, f"damaged: the sha256 does not begin with {file.sha256}"
    from diffae import CheckpointError

    try:
        file.check(path)
    except (UserError, CheckpointError) as error:
        return path, str(error)
    return path, None


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
