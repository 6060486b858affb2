"""The files of TLS: an authority, a certificate, its private key. OpenSSL calls everything that is wrong with one "PEM lib"; here it is named.

CRLF and spaces at a line's end do no harm. What an editor made of a file, another format, a passphrase, another kind of content, damage, and a key
that belongs to another certificate are told with the file and the remedy. OpenSSL never asks for a passphrase: nobody is there to type one.
"""

from __future__ import annotations

import codecs
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.disk.text import encoding_of
from kiosk.errors import ConfigError
from kiosk.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES = 4 << 20
"""A system's bundle of authorities is a quarter of a megabyte."""
TLS_VERSIONS = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}
_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_KEYS = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_LOCKED = "ENCRYPTED PRIVATE KEY"
_OPENSSH = "OPENSSH PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class Files:
    """Where they are, and what whoever set them calls them.

    Attributes:
        ca: The authority's certificate; None for the system's authorities.
        cert: Our own certificate; None for none.
        key: Its private key; None if it is in the same file.
        setting: The settings' name with {} for "ca", "cert" and "key".
    """

    ca: Path | None
    cert: Path | None
    key: Path | None
    setting: str


def context_of(files: Files, least_version: str) -> ssl.SSLContext:
    """How the other side is checked, and what it is shown.

    Args:
        files: The files.
        least_version: "1.3" or "1.2".

    Raises:
        ConfigError: One of them cannot be used.
    """
    labels = {part: _labels(files, part, path) for part in ("ca", "cert", "key") if (path := getattr(files, part))}
    if files.ca is not None:
        _check_certificate(files, "ca", labels["ca"])
    context = _made(files)
    context.minimum_version = TLS_VERSIONS[least_version]
    if files.cert is not None:
        _check_certificate(files, "cert", labels["cert"])
        holder = "cert" if files.key is None else "key"
        _check_key(files, holder, labels[holder])
        _show(context, files, holder)
    return context


def _labels(files: Files, part: str, path: Path) -> list[str]:
    """What a file says it has in it."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES)
    except OSError as error:
        raise ConfigError(
            f"{files.setting.format(part)}: {path}: {error.strerror}", hint="see that it exists and is readable"
        ) from error
    name = files.setting.format(part)
    if content.startswith(codecs.BOM_UTF8) or encoding_of(content) != "utf-8-sig":
        raise ConfigError(
            say("{name}: {path} was saved by a text editor", name=name, path=path),
            hint=say("copy the original file, byte by byte"),
        )
    labels = [label.decode() for label in _LABEL.findall(content)]
    if not labels:
        kind = "pkey" if part == "key" else "x509"
        raise ConfigError(
            say("{name}: {path} is not PEM", name=name, path=path),
            hint=say(
                "it should begin with -----BEGIN; of DER, `openssl {kind} -inform der -in {path} -out FILE` makes it",
                kind=kind,
                path=path,
            ),
        )
    if b"Proc-Type: 4,ENCRYPTED" in content:
        return [_LOCKED if label in _KEYS else label for label in labels]
    return labels


def _check_certificate(files: Files, part: str, labels: list[str]) -> None:
    if _CERTIFICATES.isdisjoint(labels):
        _complain(files, part, say("a certificate"), labels)


def _check_key(files: Files, part: str, labels: list[str]) -> None:
    if not _KEYS.isdisjoint(labels):
        return
    name, path = files.setting.format(part), getattr(files, part)
    if _LOCKED in labels:
        raise ConfigError(
            say("{name}: {path} is locked with a passphrase", name=name, path=path),
            hint=say("unlock it with `openssl pkey -in {path} -out FILE`, and name FILE", path=path),
        )
    if _OPENSSH in labels:
        raise ConfigError(
            say("{name}: {path} is a key for SSH", name=name, path=path),
            hint=say(
                "name the key of the certificate; `ssh-keygen -p -m PKCS8 -f {path}` makes one of this", path=path
            ),
        )
    if files.key is None:
        raise ConfigError(
            say("{name}: {path} has a certificate in it, and no private key", name=name, path=path),
            hint=say("name the key's file as {name}", name=files.setting.format("key")),
        )
    _complain(files, part, say("a private key"), labels)


def _complain(files: Files, part: str, wanted: str, labels: list[str]) -> None:
    raise ConfigError(
        say(
            "{name}: {path} should have {wanted} in it, and has {found}",
            name=files.setting.format(part),
            path=getattr(files, part),
            wanted=wanted,
            found=labels[0],
        ),
        hint=say("see which file is which"),
    )


def _made(files: Files) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if files.ca is None else str(files.ca))
    except OSError as error:  # ssl.SSLError is one
        raise _damaged(files, "ca") from error


def _show(context: ssl.SSLContext, files: Files, holder: str) -> None:
    try:
        context.load_cert_chain(str(files.cert), None if files.key is None else str(files.key), password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                say(
                    "{name}: the key in {key} is not that of the certificate in {cert}",
                    name=files.setting.format(holder),
                    key=files.key or files.cert,
                    cert=files.cert,
                ),
                hint=say(
                    "name two that were made together; of several certificates in a file, the own one stands first"
                ),
            ) from error
        raise _damaged(files, holder if _is_whole(files) else "cert") from error
    except OSError as error:
        raise ConfigError(f"{files.setting.format('cert')}: {files.cert}: {error.strerror}", hint="") from error


def _is_whole(files: Files) -> bool:
    """Whether the certificate is, so that it must be the key."""
    try:
        ssl.create_default_context(cafile=str(files.cert))
    except OSError:
        return False
    return True


def _damaged(files: Files, part: str) -> ConfigError:
    return ConfigError(
        say("{name}: {path} is damaged", name=files.setting.format(part), path=getattr(files, part)),
        hint=say("copy the original file again, whole and without a change"),
    )
