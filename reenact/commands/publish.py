"""Put weights into a folder with a model card, and upload it to the Hugging Face Hub if you like.

The card says what the weights are, how they were trained and measured, and what they are not for.
Without --repo nothing leaves this machine. An upload needs `pip install huggingface_hub` and your
login (`hf auth login`).
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from reenact.errors import UserError, say
from reenact.files import check_input_file

CARD = "README.md"
REPO = re.compile(r"[\w.-]+/[\w.-]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s WEIGHTS --out DIR --data TEXT --licence ID ..."
    parser.add_argument(
        "weights",
        type=Path,
        metavar="WEIGHTS",
        help="the .safetensors that a training run exported",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new folder to write"
    )
    parser.add_argument("--name", help="title of the card (default: the name of the file)")
    parser.add_argument(
        "--data", required=True, metavar="TEXT", help="the training data in a sentence"
    )
    parser.add_argument(
        "--licence", required=True, metavar="ID", help="licence of the weights, such as mit"
    )
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="run folder, for its config (default: none)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="report of eval, for its numbers (default: none)"
    )
    parser.add_argument(
        "--repo", metavar="USER/NAME", help="upload to this repository (default: no upload)"
    )
    parser.add_argument("--public", action="store_true", help="everybody can see a new repository")


def run(arguments: argparse.Namespace) -> None:
    weights: Path = check_input_file(arguments.weights)
    if weights.suffix != ".safetensors":
        raise UserError(f"{weights}: give a .safetensors that a training run exported")
    if arguments.out.exists():
        raise UserError(f"{arguments.out}: exists already, choose a new folder")
    if arguments.repo is not None and not REPO.fullmatch(arguments.repo):
        raise UserError(f"--repo {arguments.repo}: write it as USER/NAME")
    training = _read(arguments.run, "config.json")
    summary = _read(arguments.report, "report.json")
    api = None if arguments.repo is None else hub_api()
    write_folder(arguments, training, summary)
    say(f"{arguments.out}/{CARD}")
    if api is not None:
        say(upload(api, arguments.out, arguments.repo, is_private=not arguments.public))


def write_folder(
    arguments: argparse.Namespace, training: dict[str, Any] | None, summary: dict[str, Any] | None
) -> None:
    """Write the whole folder or nothing. Raises UserError or CheckpointError."""
    import hashlib
    import os
    import shutil

    from reenact.evaluation.reporting.model_card import CardFacts, model_card
    from reenact.files import create_temporary_folder, make_folder
    from reenact.models.checkpoint import load_reenactor

    weights, out = arguments.weights, arguments.out
    header = load_reenactor(weights).metadata
    with weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    facts = CardFacts(
        name=arguments.name or weights.stem,
        file=weights.name,
        sha256=sha256,
        licence=arguments.licence,
        data=arguments.data,
        header=header,
        training=training,
        summary=summary,
    )
    if summary is not None:
        _check_report(arguments.report, summary, sha256)
    card = model_card(facts)
    make_folder(out.absolute().parent)
    temporary = create_temporary_folder(out)
    try:
        beside = [weights, weights.with_suffix(".recipe.json")]
        beside += [weights.with_name(header["diffae_file"])] if "diffae_file" in header else []
        for path in beside:
            if path.is_file():
                shutil.copyfile(path, temporary / path.name)
        for name, content in (("config.json", training), ("report.json", summary)):
            if content is not None:
                (temporary / name).write_text(json.dumps(content, indent=1) + "\n")
        (temporary / CARD).write_text(card, encoding="utf-8")
        os.replace(temporary, out)
    except OSError as error:
        raise UserError(f"{out}: cannot write ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def hub_api() -> Any:
    """The client of the Hugging Face Hub. Raises UserError if its package is not installed."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UserError(
            "--repo: needs the package huggingface_hub, run pip install huggingface_hub"
        ) from error
    return HfApi()


def upload(api: Any, folder: Path, repo: str, *, is_private: bool) -> str:
    """Upload the folder, and return the address of the repository.

    api: a `huggingface_hub.HfApi`, or an object with the same `create_repo` and `upload_folder`.
    The repository is made if it does not exist; an existing one keeps its visibility. Raises
    UserError.
    """
    try:
        address = api.create_repo(repo, private=is_private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Weights and model card")
    except Exception as error:  # the client has errors of its own and of its network library
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{repo}: the upload failed ({reason}); {folder} is complete, try again with "
            f"hf upload {repo} {folder}"
        ) from error
    return str(address)


def _check_report(folder: Path, summary: dict[str, Any], sha256: str) -> None:
    """Raises UserError if the report is damaged, or measured other weights."""
    meta = summary.get("meta")
    if not isinstance(meta, dict) or "num_pairs" not in meta or "intervals" not in summary:
        raise UserError(f"{folder}: report.json is not a report of eval")
    measured = meta.get("weights_sha256")
    if measured != sha256:
        raise UserError(
            f"{folder}: measured other weights (sha256 {str(measured)[:12]}, the file has "
            f"{sha256[:12]}); measure these weights, or leave --report out"
        )


def _read(folder: Path | None, name: str) -> dict[str, Any] | None:
    """The JSON file of a folder, or None without a folder. Raises UserError."""
    if folder is None:
        return None
    path = check_input_file(folder / name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not a JSON file ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values")
    return content
