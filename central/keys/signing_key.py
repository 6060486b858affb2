"""A key of the centre's that signs what stations believe: made once, in two files, and read by nobody else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


def make(private: Path, public: Path, said: str = "") -> None:
    """Make an Ed25519 key: its private half for its owner alone, its public half for everybody.

    Args:
        private: Where the private half goes, PEM.
        public: Where the public half goes, PEM.
        said: What is said in front of an error, such as the option's name.

    Raises:
        ConfigError: A file is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    halves = (
        (private, private_pem(key), 0o600),
        (public, public_pem(key), 0o644),
    )
    for path, content, mode in halves:
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
                out.write(content)
        except OSError as error:
            raise ConfigError(f"{said}{path}: {error.strerror}", hint="name a file that is not there yet") from error


def load(path: Path, hint: str, said: str = "") -> Ed25519PrivateKey:
    """The private half.

    Args:
        path: Where it is.
        hint: How one is made.
        said: What is said in front of an error, such as the option's name.

    Raises:
        ConfigError: It cannot be read, others can read it, or it is another kind of key.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{said}others can read {path}", hint=f"chmod 600 {path}")
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{said}{path}: {error.strerror}", hint=hint) from error
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{said}{path} is no private key in PEM", hint=hint) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{said}{path} is not an Ed25519 key", hint=hint)
    return key


def private_pem(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    """The key as PEM without a password: it lies where its owner alone can read."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """Its public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
