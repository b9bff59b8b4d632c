import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubeops.handlers.secrets import ca_hash, new_certificate_key, new_token


def test_tokens_have_kubeadms_shape_and_never_repeat() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in tokens)


def test_certificate_keys_are_aes_256_keys() -> None:
    keys = {new_certificate_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(bytes.fromhex(key)) == 32 for key in keys)


def test_the_hash_of_an_authority_is_the_one_of_kubeadms_documentation(tmp_path: Path) -> None:
    """The pipeline that kubernetes.io gives for --discovery-token-ca-cert-hash, by openssl."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime(2026, 11, 21, tzinfo=UTC)
    pem = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    (tmp_path / "ca.crt").write_bytes(pem)
    pipeline = (
        "openssl x509 -pubkey -noout -in ca.crt | openssl pkey -pubin -outform der | sha256sum"
    )
    said = subprocess.run(
        ["sh", "-c", pipeline], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert ca_hash(pem) == f"sha256:{said.split()[0]}"


def test_what_is_no_certificate_has_no_hash() -> None:
    with pytest.raises(ValueError, match="PEM"):
        ca_hash(b"not found\n")
