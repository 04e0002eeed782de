"""Results signed with a certificate that the test makes."""

import datetime
import importlib.util
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.media.content_credentials import SIGNABLE, check_signing, sign_result
from reenact.media.formats import FORMATS
from reenact.media.images import write_frame
from reenact.media.provenance import SOURCE_TYPE
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

needs_c2pa = pytest.mark.skipif(
    importlib.util.find_spec("c2pa") is None, reason="needs the package c2pa-python"
)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate chain and its private key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, public_key, is_root: bool):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("root"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_root, None), True)
        )
        if is_root:
            identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
            return builder.add_extension(identifier, False).sign(root_key, hashes.SHA256())
        usage = [True] + [False] * 8  # digital signatures alone
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        builder = (
            builder.add_extension(x509.KeyUsage(*usage), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
            .add_extension(issuer, False)
        )
        return builder.sign(root_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    chain = [certificate("signer", key.public_key(), False)]
    chain += [certificate("root", root_key.public_key(), True)]
    folder = tmp_path_factory.mktemp("credentials")
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(pem) for one in chain))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "chain.pem", folder / "key.pem"


def result(path: Path) -> Path:
    frame = np.full((64, 64, 3), 90, np.uint8)
    if path.suffix not in FORMATS:
        write_frame(path, frame, synthetic=True)
        return path
    with VideoWriter(path, width=64, height=64, fps=Fraction(25), synthetic=True) as writer:
        for i in range(5):
            writer.write(frame + 10 * i)
    return path


@needs_c2pa
@pytest.mark.parametrize("suffix", SIGNABLE)
def test_a_signed_result_can_be_checked(suffix: str, credentials, tmp_path: Path):
    import c2pa

    path = result(tmp_path / f"result{suffix}")
    check_signing(path, *credentials)
    sign_result(path, *credentials)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with c2pa.Reader(str(path)) as reader:
        report = json.loads(reader.json())
    problems = {one["code"] for one in report.get("validation_status", [])}
    assert problems <= {"signingCredential.untrusted"}, "nobody knows the certificate of a test"
    manifest = report["manifests"][report["active_manifest"]]
    assert manifest["claim_generator_info"][0]["name"] == "DiffusionAct, open"
    assert SOURCE_TYPE in json.dumps(manifest["assertions"])
    if suffix in (".mp4", ".mov"):
        assert VideoReader(path).num_frames == 5


@needs_c2pa
def test_a_changed_file_does_not_pass(credentials, tmp_path: Path):
    import c2pa

    path = result(tmp_path / "result.mp4")
    sign_result(path, *credentials)
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") + 100
    content[place] ^= 0xFF
    path.write_bytes(content)
    with c2pa.Reader(str(path)) as reader:
        report = json.loads(reader.json())
    codes = {one["code"] for one in report["validation_status"]}
    assert any("mismatch" in code for code in codes)


@needs_c2pa
def test_errors_are_one_line_and_the_result_stays(credentials, tmp_path: Path):
    chain, key = credentials
    path = result(tmp_path / "result.png")
    before = path.read_bytes()
    other = tmp_path / "other.pem"
    other.write_text("no key")
    for certificate, secret, output, message in (
        (chain, None, path, "give both of them, or none"),
        (chain, other, path, "other.pem: cannot sign with it"),
        (other, key, path, "cannot sign with it"),
        (chain, tmp_path / "none.pem", path, "none.pem: no such file"),
        (chain, key, tmp_path / "a.webm", "a.webm: this kind of file cannot be signed"),
        (chain, key, tmp_path / "%06d.png", "%06d.png: this kind of file cannot be signed"),
    ):
        with pytest.raises(UserError, match=message.replace("%", "%")) as error:
            check_signing(output, certificate, secret)
        assert "\n" not in str(error.value)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no video")
    with pytest.raises(UserError, match="is complete, but could not be signed"):
        sign_result(damaged, chain, key)
    assert damaged.read_bytes() == b"no video"
    assert path.read_bytes() == before
    check_signing(path, None, None)
    sign_result(path, None, None)
    assert path.read_bytes() == before


def test_without_the_package_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(UserError, match=r"needs the package c2pa-python \(pip install"):
        check_signing(tmp_path / "a.png", Path("chain.pem"), Path("key.pem"))
