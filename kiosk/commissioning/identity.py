"""Who this station is: the files in `state.dir/identity` that provisioning writes and everything else reads.

    key.pem              private key and certificate, for the uplink's user alone; made here, never leaves
    cert.pem             the certificate once more, for whoever only wants to read it
    ca.pem               the fleet's authority
    kiosk.yaml           what the code said: id, site, lanes, broker
    authority-keys.cose  the authority's signed list of keys, where the centre has one

A new identity is written beside the old one, flushed, and put in its place by one rename, so that a power cut leaves the
station as it was or as it will be. Key and certificate are in one file for the same reason: a renewal replaces both at once.

Units: `_s` seconds of Unix time.

Sources:
    [1] renameat2(2): RENAME_EXCHANGE.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kiosk.disk import durable
from kiosk.envelopes.provisioning_code import NOT_KEPT
from kiosk.errors import ProvisionError
from kiosk.language.message import say
from kiosk.settings import loader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY, CERTIFICATE, CA, SETTINGS, AUTHORITY_KEYS = "key.pem", "cert.pem", "ca.pem", "kiosk.yaml", "authority-keys.cose"
_NEXT = "identity.new"
_PENDING = "enrolment"
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
PRIVATE, SHARED = 0o600, 0o640
"""Modes of files: the uplink's user alone; and the group, which the scan process is in."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate is valid.

    Attributes:
        kiosk: Whose it is.
        from_s: Begin.
        until_s: End.
    """

    kiosk: str
    from_s: float
    until_s: float


def folder_in(state_dir: Path) -> Path:
    """Where the identity is."""
    return state_dir / loader.IDENTITY


def is_there(state_dir: Path) -> bool:
    """Whether the station is set up."""
    return (folder_in(state_dir) / SETTINGS).is_file()


def validity(state_dir: Path) -> Validity | None:
    """The certificate's; None if there is none that can be read."""
    try:
        certificate = x509.load_pem_x509_certificate((folder_in(state_dir) / CERTIFICATE).read_bytes())
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (OSError, ValueError):
        return None
    return Validity(
        str(name.value), certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key of the kind that certificates are for."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate_hash(state_dir: Path) -> str:
    """Names the present certificate: SHA-256 of its file, hexadecimal.

    Raises:
        ProvisionError: It cannot be read.
    """
    path = folder_in(state_dir) / CERTIFICATE
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ProvisionError(NOT_KEPT, f"{path}: {error.strerror}") from error


def pending_key(state_dir: Path, what_for: str) -> ec.EllipticCurvePrivateKey:
    """The key for which a certificate is asked, kept until it is there: the answer may be lost, and is asked for again.

    Args:
        state_dir: The station's state.
        what_for: Hash of the code that is redeemed, or of the certificate that is renewed, hexadecimal.

    Raises:
        ProvisionError: It cannot be kept.
    """
    folder = state_dir / _PENDING
    path = folder / f"{what_for}.pem"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError):
        key = None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    fresh = new_key()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        _folder(folder, 0o700, state_dir)
    except OSError as error:
        raise ProvisionError(NOT_KEPT, f"{folder}: {error.strerror}") from error
    write(path, private_pem(fresh), PRIVATE)
    return fresh


def request_for(key: ec.EllipticCurvePrivateKey, kiosk: str) -> bytes:
    """A certificate request, PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kiosk)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def fits(certificate_pem: bytes, ca_pem: bytes, key: ec.EllipticCurvePrivateKey, kiosk: str) -> bool:
    """Whether a certificate is this authority's, for this key and for this kiosk."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
        names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except Exception:  # noqa: BLE001  cryptography names six errors, none of which would make it fit
        return False
    return names == [kiosk] and certificate.public_key() == key.public_key()


def replace(state_dir: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Put a new identity in the place of none or of another; what others keep in the folder moves along.

    Args:
        state_dir: The station's state.
        files: Content and mode by name.

    Raises:
        ProvisionError: It cannot be written; the old one, or none, is still there.
    """
    target, fresh = folder_in(state_dir), state_dir / _NEXT
    try:
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        _folder(fresh, 0o750, state_dir)
        for name, (content, mode) in files.items():
            write(fresh / name, content, mode)
        known = (KEY, CERTIFICATE, CA, SETTINGS, AUTHORITY_KEYS)
        for path in target.iterdir() if target.is_dir() else ():
            if path.name not in known and path.is_file():
                write(fresh / path.name, path.read_bytes(), path.stat().st_mode & 0o777)
        if target.exists():
            _exchange(fresh, target)
        else:
            fresh.rename(target)
        durable.flush_folder(state_dir)
    except OSError as error:
        raise ProvisionError(NOT_KEPT, f"{target}: {error.strerror or error}") from error
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(state_dir / _PENDING, ignore_errors=True)


def renew(state_dir: Path, key: ec.EllipticCurvePrivateKey, certificate_pem: bytes) -> None:
    """Put a new key and its certificate in the place of the present ones.

    Raises:
        ProvisionError: They cannot be written; the present ones are still there.
    """
    folder = folder_in(state_dir)
    write(folder / KEY, private_pem(key) + certificate_pem, PRIVATE)
    write(folder / CERTIFICATE, certificate_pem, SHARED)
    shutil.rmtree(state_dir / _PENDING, ignore_errors=True)


def tidy(state_dir: Path) -> None:
    """Remove what a power cut has left of a change that was not finished, or of the identity before it."""
    shutil.rmtree(state_dir / _NEXT, ignore_errors=True)


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file by one that is whole and on the disk.

    Raises:
        ProvisionError: It cannot be written.
    """
    try:
        durable.replace(path, content, mode)
    except OSError as error:
        raise ProvisionError(
            NOT_KEPT, say("cannot write {path}: {reason}", path=path, reason=error.strerror)
        ) from error


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as PEM without a password: nobody is there to type one."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def give_to_owner(state_dir: Path, what: Path) -> None:
    """Have what root made belong to whom the identity belongs to: tmpfiles.d makes its folder for the uplink's user.

    Raises:
        OSError: The file system refused.
    """
    present = folder_in(state_dir)
    durable.give_to_owner_of(present if present.is_dir() else state_dir, what)


def _folder(path: Path, mode: int, state_dir: Path) -> None:
    path.mkdir(mode=mode)
    path.chmod(mode)
    give_to_owner(state_dir, path)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step [1]; Python has no name for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
