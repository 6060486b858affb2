"""The keys of updates: an authority that every image trusts, and a key that signs bundles in its name.

    update-ca.pem   in every image          update-ca.key   locked away; it makes the next signing key
    update.pem      beside the bundles      update.key      where bundles are made, and nowhere else

X.509 with ECDSA on P-256, because OpenSSL signs CMS with it; the signing certificate is for code signing and nothing else.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from imaging.host import HostError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("update-ca.key", "update-ca.pem", "update.key", "update.pem")
VALID_DAYS = 20 * 365
"""As long as a station hangs: a certificate that ends would end all updates."""
BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
"""RAUC judges by the machine's clock, and that shows the day on which systemd was built where neither a battery nor a time server
has set it: a certificate of the day on which it was made would be "not yet valid" there, for ever."""


def make(folder: Path) -> None:
    """Make both pairs.

    Raises:
        HostError: One of the files is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in NAMES if (folder / name).exists()]
    if there:
        raise HostError(
            f"{folder / there[0]} is there already and is not overwritten: stations out there trust it. Move it away if none do"
        )
    authority = ec.generate_private_key(ec.SECP256R1())
    signer = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("kiosk updates: authority")
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    ca = (
        _certificate(authority_name, authority_name, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(authority, hashes.SHA256())
    )
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _certificate(_name("kiosk updates: signer"), authority_name, signer.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    _write(folder / "update-ca.key", _private(authority), 0o600)
    _write(folder / "update-ca.pem", ca.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(folder / "update.key", _private(signer), 0o600)
    _write(folder / "update.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINS)
        .not_valid_after(datetime.now(UTC) + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
