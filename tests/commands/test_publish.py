"""A folder with weights and a model card, and its upload through a stand-in for the client."""

import builtins
import hashlib
import json
from pathlib import Path

import pytest
import yaml

from reenact.commands.main import run_command
from reenact.commands.publish import upload
from reenact.errors import UserError
from reenact.models.checkpoint import load_reenactor
from tools.fuzz import material

WORDS = ("--data", "9,000 synthetic people", "--licence", "mit")


class FakeHub:
    """Keeps what a `huggingface_hub.HfApi` would be told."""

    def __init__(self) -> None:
        self.repos: dict[str, bool] = {}
        self.files: dict[str, list[str]] = {}

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> str:
        assert exist_ok
        self.repos[repo_id] = private
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        assert commit_message
        self.files[repo_id] = sorted(path.name for path in folder_path.iterdir())


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return material.write_weights(tmp_path / "mine.safetensors")


def report_of(weights: Path) -> dict:
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    meta = {"num_pairs": {"self": 4}, "num_clips": 2, "num_people": 2, "image_size": 32}
    return {
        "meta": meta | {"label": "mine", "weights_sha256": sha256},
        "intervals": {},
        "self": {"ours": {"l1": 0.125, "csim": 0.5}, "copy_source": {"l1": 0.25, "csim": 1.0}},
    }


def test_the_folder_holds_the_weights_and_what_is_known_of_them(weights, tmp_path, capsys):
    run_dir, report, out = (tmp_path / name for name in ("run", "report", "out"))
    run_dir.mkdir()
    (run_dir / "config.json").write_text('{"stage": "reenact", "num_steps": 10}')
    report.mkdir()
    (report / "report.json").write_text(json.dumps(report_of(weights)))
    words = [str(weights), "--out", str(out), "--run", str(run_dir), "--report", str(report)]
    assert run_command("publish", "x", [*words, *WORDS]) == 0
    assert capsys.readouterr().out == f"{out}/README.md\n"
    assert (out / "mine.safetensors").read_bytes() == weights.read_bytes()
    load_reenactor(out / "mine.safetensors")
    card = (out / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["license"], front["pipeline_tag"]) == ("mit", "image-to-video")
    for text in (
        "9,000 synthetic people",
        hashlib.sha256(weights.read_bytes()).hexdigest(),
        '"num_steps": 2',  # the recipe in the header of the file
        '"stage": "reenact"',
        "Self-reenactment, 4 pairs",
        "copy_source",
        "0.125",
        "without that person's consent",
        "## Limits",
    ):
        assert text in card, text


def test_numbers_of_other_weights_are_refused(weights, tmp_path, capsys):
    other = report_of(weights)
    other["meta"]["weights_sha256"] = "0" * 64
    (tmp_path / "report.json").write_text(json.dumps(other))
    words = [str(weights), "--out", str(tmp_path / "out"), "--report", str(tmp_path), *WORDS]
    assert run_command("publish", "x", words) == 1
    assert "measured other weights" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "report.json").write_text('{"meta": 3}')
    assert run_command("publish", "x", words) == 1
    assert "is not a report of eval" in capsys.readouterr().err


def test_an_upload_takes_the_folder_as_it_is(weights, tmp_path, monkeypatch, capsys):
    hub = FakeHub()
    monkeypatch.setattr("reenact.commands.publish.hub_api", lambda: hub)
    out = tmp_path / "out"
    words = [str(weights), "--out", str(out), *WORDS, "--repo", "me/mine"]
    assert run_command("publish", "x", words) == 0
    assert capsys.readouterr().out.endswith("https://hub/me/mine\n")
    assert hub.repos == {"me/mine": True}, "private unless --public is given"
    assert hub.files == {"me/mine": ["README.md", "mine.safetensors"]}


def test_a_failed_upload_is_one_line_and_keeps_the_folder(tmp_path):
    class Offline(FakeHub):
        def upload_folder(self, **_) -> None:
            raise RuntimeError("401 Client Error\nlog in first")

    with pytest.raises(UserError, match=r"me/mine: the upload failed \(401 Client Error log in"):
        upload(Offline(), tmp_path, "me/mine", is_private=True)


def test_the_package_of_the_hub_is_needed_only_for_an_upload(
    weights, tmp_path, monkeypatch, capsys
):
    real = builtins.__import__

    def without_hub(name, *arguments, **options):
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_hub)
    words = [str(weights), "--out", str(tmp_path / "a"), *WORDS]
    assert run_command("publish", "x", words) == 0
    words[2] = str(tmp_path / "b")
    assert run_command("publish", "x", [*words, "--repo", "me/mine"]) == 1
    assert "pip install huggingface_hub" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--repo", "mine"], "--repo mine: write it as USER/NAME"),
        (["--out", "."], "exists already"),
        (["--run", "nowhere"], "nowhere/config.json: no such file"),
    ],
)
def test_wrong_options_are_one_line(weights, tmp_path, words, line, capsys):
    start = [str(weights), "--out", str(tmp_path / "out"), *WORDS]
    assert run_command("publish", "x", [*start, *words]) == 1
    assert line in capsys.readouterr().err
