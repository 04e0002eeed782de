"""The package: one list of requirements, and a wheel that works outside of the repository."""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

from reenact.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_requirements_txt_holds_what_pyproject_holds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    assert listed == project["dependencies"] + project["optional-dependencies"]["dev"]


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__


@pytest.mark.slow
def test_the_wheel_runs_from_any_folder(tmp_path: Path):
    """Installed without its requirements into an environment that sees this one's packages."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    site = next(p for p in sys.path if p.endswith("site-packages"))
    (sites,) = (place / "lib").glob("python*/site-packages")
    (sites / "outer.pth").write_text(site + "\n")
    assert not (sites / "train.py").exists()
    assert not (sites / "eval.py").exists()

    away = tmp_path / "away"
    away.mkdir()

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(
            [place / "bin" / "diffusionact", *arguments],
            cwd=away,
            capture_output=True,
            text=True,
            env=environment,
        )

    assert "embedded/infer" in command("configs").stdout.split()
    done = command("infer", "--grid")
    assert done.returncode == 0, done.stderr
    assert (away / "results" / "demo.mp4").stat().st_size > 10_000
    assert command("train", "--config", "embedded/nothing").returncode == 1
