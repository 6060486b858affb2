"""The fleet's own certificate authority: who the broker, the centre and each kiosk are.

One folder, which belongs to the centre's most careful machine:

    ca.key, ca.pem        the authority (P-256)                     crl.pem      what it has revoked, for the broker
    fleet.key, fleet.pem  signs provisioning codes (Ed25519)        fleet.db     the registry (`central.fleet.registry`)

Keys are written for their owner alone, before anything else learns of them. P-256 because every broker takes it; Ed25519
for the codes because its signatures are short and the kiosks' software alone reads them (docs/adr/0014-enrolment.md).

Sources:
    [1] RFC 5280, 4.2 (extensions), 5 (revocation lists).
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from central.keys import signing_key
from kiosk.disk import durable
from kiosk.errors import FleetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

CA_DAYS = 20 * 365
SERVER_DAYS = 2 * 365
CLIENT_DAYS = 365
_EARLIER = timedelta(hours=1)
"""Certificates begin this much before they are made: clocks differ."""
LARGEST_REQUEST_BYTES = 4096
TURN_S = 30.0
"""Longest wait for another process that writes the revocation list."""


class Authority:
    """The authority in its folder. Open it with `open_authority`."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.folder = folder
        self.certificate = certificate
        self._key = key

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the authority's certificate, 32 bytes: what a provisioning code pins."""
        return self.certificate.fingerprint(hashes.SHA256())

    def fleet_key(self) -> ed25519.Ed25519PrivateKey:
        """What signs provisioning codes.

        Raises:
            FleetError: It cannot be read.
        """
        key = _read_key(self.folder / "fleet.key")
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise FleetError(f"{self.folder / 'fleet.key'} is no Ed25519 key")
        return key

    def issue_server(self, hosts: Sequence[str]) -> tuple[bytes, bytes]:
        """A certificate and a key for a server.

        Args:
            hosts: Names and addresses by which it is called, at least one.

        Returns:
            Both as PEM; the key's is not protected.
        """
        names = [_general_name(host) for host in hosts]
        return self._with_new_key(hosts[0][:64], SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def issue_client(self, name: str, days: float = CLIENT_DAYS) -> tuple[bytes, bytes]:
        """A certificate and a key for a program of the centre, PEM both."""
        return self._with_new_key(name, days, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def certify(self, kiosk: str, key: ec.EllipticCurvePublicKey, days: float) -> x509.Certificate:
        """A kiosk's certificate for the key that it made itself."""
        return self._certificate(kiosk, key, timedelta(days=days), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def publish(self, revoked: Callable[[], Iterable[tuple[int, int]]]) -> None:
        """Replace the revocation list by what the registry says now, one process at a time: none puts an older list in a newer one's place.

        Args:
            revoked: Asks the registry, once it is this process's turn; see `write_revoked`.

        Raises:
            FleetError: It cannot be written, or another process has held the folder for too long.
        """
        with _turn(self.folder / "crl.lock"):
            self.write_revoked(revoked())

    def write_revoked(self, revoked: Iterable[tuple[int, int]]) -> None:
        """Replace the revocation list.

        Args:
            revoked: Serial numbers and the Unix times in seconds of their revocation.
        """
        now = datetime.now(UTC)
        # It lies beside the broker and is fetched by nobody, so it need not go stale; a stale one would stop everybody.
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _EARLIER)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for serial, at_s in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(datetime.fromtimestamp(at_s, UTC)).build())
        crl = builder.sign(self._key, hashes.SHA256())
        write_file(self.folder / "crl.pem", crl.public_bytes(serialization.Encoding.PEM), 0o644)

    def _with_new_key(
        self, name: str, days: float, usage: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(name, key.public_key(), timedelta(days=days), usage, names)
        return certificate.public_bytes(serialization.Encoding.PEM), signing_key.private_pem(key)

    def _certificate(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        life: timedelta,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(min(now + life, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def create(folder: Path, name: str) -> Authority:
    """A new authority.

    Args:
        folder: Where it will live; made if it is not there.
        name: What its certificate calls it.

    Raises:
        FleetError: There is one already, or the folder cannot be written.
    """
    if (folder / "ca.key").exists():
        raise FleetError(
            f"{folder} holds an authority already",
            hint="name another folder with --fleet; replacing it orphans its fleet",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    fleet_key = ed25519.Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FleetError(f"{folder}: {error.strerror}") from error
    if not (folder / "fleet.key").exists():
        write_file(folder / "fleet.key", signing_key.private_pem(fleet_key), 0o600)
        write_file(folder / "fleet.pem", signing_key.public_pem(fleet_key), 0o644)
    authority = Authority(folder, key, certificate)
    write_file(folder / "ca.pem", authority.ca_pem, 0o644)
    write_file(folder / "ca.key", signing_key.private_pem(key), 0o600)
    authority.write_revoked([])
    return authority


def open_authority(folder: Path) -> Authority:
    """The authority in this folder.

    Raises:
        FleetError: There is none, or it cannot be read.
    """
    key = _read_key(folder / "ca.key")
    try:
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    except (OSError, ValueError) as error:
        raise FleetError(f"{folder / 'ca.pem'} cannot be read ({error})") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise FleetError(f"{folder}: ca.key and ca.pem do not belong together")
    return Authority(folder, key, certificate)


def key_of(request_pem: bytes) -> ec.EllipticCurvePublicKey:
    """The key that asks for a certificate; who it is says the registry, not the request.

    Raises:
        FleetError: It is no request, is not signed by its own key, or has a key of another kind.
    """
    if len(request_pem) > LARGEST_REQUEST_BYTES:
        raise FleetError("the request is too large")
    try:
        request = x509.load_pem_x509_csr(request_pem)
        signed = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # cryptography's parser, on hostile bytes
        raise FleetError("that is no certificate request") from error
    if not signed or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise FleetError("the request is not signed by a P-256 key of its own")
    return key


def key_hash(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of a public key, by which the registry knows it."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def serial_of(certificate_pem: bytes) -> int:
    """A certificate's number."""
    return x509.load_pem_x509_certificate(certificate_pem).serial_number


def name_of(certificate: x509.Certificate) -> str:
    """Whose it is, by its subject."""
    return ", ".join(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Only one process at a time; the lock ends with whoever holds it."""
    ends_s = time.monotonic() + TURN_S
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > ends_s:
                        raise
                time.sleep(0.02)
            yield
    except OSError as error:
        raise FleetError(
            f"cannot lock {path}: {error.strerror}", hint="see which other command uses this folder, and try again"
        ) from error


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Replace a file by one that is whole and on the disk.

    Raises:
        FleetError: It cannot be written.
    """
    try:
        durable.replace(path, content, mode)
    except OSError as error:
        raise FleetError(f"cannot write {path}: {error.strerror}") from error


def _read_key(path: Path) -> object:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise FleetError(
            f"{path}: {error.strerror}",
            hint="name the fleet's folder with --fleet, or begin one with `central ca init`",
        ) from error
    except (ValueError, TypeError) as error:
        raise FleetError(f"{path} is no PEM key without a password") from error


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
