"""Certificates as kubeadm makes them: real keys, with the originals' subjects and usages."""

import base64
import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehearsal import files

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
BACKDATE = timedelta(minutes=5)
YEAR = timedelta(hours=8760)
DECADE = timedelta(hours=87600)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM."""
        return key_pem(self.key)

    def write(self, stem: Path) -> None:
        """Write `stem`.crt (0644) and `stem`.key (0600)."""
        files.write(stem.with_name(stem.name + ".crt"), self.certificate_pem)
        files.write(stem.with_name(stem.name + ".key"), self.key_pem, mode=0o600)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a certificate is to say: subject, names, and whether it serves, calls, or both."""

    name: str
    organizations: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    server: bool = False
    client: bool = False
    validity: timedelta = YEAR


def key_pem(key: Key) -> bytes:
    """Return a private key as PEM, in the form OpenSSL calls traditional."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def public_pem(key: Key) -> bytes:
    """Return the public half of `key` as PEM."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def new_key(algorithm: str = "RSA-2048") -> Key:
    """Make a private key of one of kubeadm's `encryptionAlgorithm`s.

    Raises:
        ValueError: kubeadm has no such algorithm.
    """
    kind, _, size = algorithm.partition("-")
    if kind == "RSA" and size in {"2048", "3072", "4096"}:
        return rsa.generate_private_key(public_exponent=65537, key_size=int(size))
    if algorithm == "ECDSA-P256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ECDSA-P384":
        return ec.generate_private_key(ec.SECP384R1())
    raise ValueError(f'encryptionAlgorithm: Unsupported value: "{algorithm}"')


def authority(name: str, *, algorithm: str = "RSA-2048", validity: timedelta = DECADE) -> Pair:
    """Make a self-signed certificate authority named `name`."""
    key = new_key(algorithm)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject=subject, issuer=subject, key=key, validity=validity)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate=certificate, key=key)


def issue(
    ca: Pair, request: Request, *, key: Key | None = None, algorithm: str = "RSA-2048"
) -> Pair:
    """Sign what `request` asks for with `ca`; a new key is made when none is given."""
    key = key or new_key(algorithm)
    subject = x509.Name(
        [
            *(
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)
                for name in request.organizations
            ),
            x509.NameAttribute(NameOID.COMMON_NAME, request.name),
        ]
    )
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * request.server
    usages += [ExtendedKeyUsageOID.CLIENT_AUTH] * request.client
    builder = (
        _builder(subject=subject, issuer=ca.certificate.subject, key=key, validity=request.validity)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False
        )
    )
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in request.dns]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in request.addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(certificate=builder.sign(ca.key, hashes.SHA256()), key=key)


def signing_request(key: Key, *, name: str, organization: str) -> bytes:
    """Return a certificate signing request as PEM."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_pair(stem: Path) -> Pair:
    """Read `stem`.crt and `stem`.key.

    Raises:
        OSError: one of them is not there.
        ValueError: one of them is not PEM.
    """
    return parse_pair(
        stem.with_name(stem.name + ".crt").read_bytes(),
        stem.with_name(stem.name + ".key").read_bytes(),
    )


def parse_pair(certificate: bytes, key: bytes) -> Pair:
    """Read a certificate and a private key from PEM."""
    return Pair(certificate=x509.load_pem_x509_certificate(certificate), key=parse_key(key))


def parse_key(pem: bytes) -> Key:
    """Read a private key from PEM.

    Raises:
        ValueError: it is no RSA or ECDSA key.
    """
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("neither an RSA nor an ECDSA key")  # noqa: TRY004 - a wrong file, not a wrong call
    return key


def parse_certificate(pem: bytes) -> x509.Certificate:
    """Read a certificate from PEM."""
    return x509.load_pem_x509_certificate(pem)


def pin(certificate: x509.Certificate) -> str:
    """Return the hash `kubeadm join` takes as --discovery-token-ca-cert-hash."""
    public = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"sha256:{hashlib.sha256(public).hexdigest()}"


def b64(data: bytes) -> str:
    """Return `data` in the base64 of kubeconfigs and Secrets."""
    return base64.b64encode(data).decode()


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: Key, validity: timedelta
) -> x509.CertificateBuilder:
    moment = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATE)
        .not_valid_after(moment + validity)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=ca,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
