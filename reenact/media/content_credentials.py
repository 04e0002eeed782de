"""Content Credentials (C2PA): a result signed with the user's own certificate.

The manifest says that a trained model made the picture, and which tool did it. It is bound to the
pixels: whoever changes the file breaks the signature. Needs the package c2pa-python.
"""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from reenact.errors import UserError
from reenact.files import atomic_output, check_input_file
from reenact.media.provenance import SOURCE_TYPE
from reenact.version import __version__

SIGNABLE = (
    *(".mp4", ".m4v", ".mov", ".gif", ".webp"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff"),
)
"""Kinds of results that can hold a manifest."""
ACTION = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}


def check_signing(output: Path, certificate: Path | None, key: Path | None) -> None:
    """Raises UserError if a result at `output` could not be signed.

    Without certificate and key nothing is signed, so there is nothing to check.
    """
    signer = _load_signer(certificate, key)
    if signer is None:
        return
    if output.suffix.lower() not in SIGNABLE or "%" in output.name:
        raise UserError(
            f"{output}: this kind of file cannot be signed, end it in {', '.join(SIGNABLE)}"
        )
    blank, signed = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(blank, "PNG")
    blank.seek(0)
    try:
        _builder(output).sign(signer, "image/png", blank, signed)
    except Exception as error:  # c2pa's errors have no common class
        raise UserError(f"{certificate}: cannot sign with it ({_line(error)})") from error


def sign_result(output: Path, certificate: Path | None, key: Path | None) -> None:
    """Sign a finished file, in place and atomically. Does nothing without certificate and key.

    Raises UserError; the file then stays as it was.
    """
    signer = _load_signer(certificate, key)
    if signer is None:
        return
    with atomic_output(output) as temporary:
        # c2pa takes the format from the name, and writes only where nothing is yet.
        temporary.unlink()
        try:
            _builder(output).sign_file(output, temporary, signer)
        except Exception as error:
            raise UserError(
                f"{output}: is complete, but could not be signed ({_line(error)})"
            ) from error


def _load_signer(certificate: Path | None, key: Path | None) -> Any:
    """c2pa's signer; None if neither file is given."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UserError("c2pa_certificate and c2pa_key: give both of them, or none")
    try:
        c2pa = importlib.import_module("c2pa")
    except ImportError as error:
        raise UserError(
            "c2pa_certificate: needs the package c2pa-python (pip install c2pa-python)"
        ) from error
    chain = check_input_file(certificate).read_bytes()
    secret = check_input_file(key).read_bytes()
    try:
        info = c2pa.C2paSignerInfo(_algorithm(secret), chain, secret, None)
        return c2pa.Signer.from_info(info)
    except Exception as error:
        raise UserError(
            f"{key}: cannot sign with it ({_line(error)}); give a private key and its certificate "
            "chain as PEM files"
        ) from error


def _algorithm(secret: bytes) -> str:
    """The name of the signature that a private key makes. Raises ValueError for another key."""
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    key = serialization.load_pem_private_key(secret, password=None)
    curve = getattr(getattr(key, "curve", None), "name", None)
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if curve in curves:
        return curves[curve]
    kinds = {"Ed25519PrivateKey": "ed25519", "RSAPrivateKey": "ps256"}
    name = next((v for k, v in kinds.items() if k in type(key).__name__), None)
    if name is None:
        raise ValueError(
            "its kind is not one that C2PA allows: ES256, ES384, ES512, PS256, Ed25519"
        )
    return name


def _builder(output: Path) -> Any:
    manifest = {
        "claim_generator_info": [{"name": "DiffusionAct, open", "version": __version__}],
        "title": output.name,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [ACTION]}}],
    }
    return importlib.import_module("c2pa").Builder(json.dumps(manifest))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
