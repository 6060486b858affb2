"""Certificates and keys as people really have them: they work, or the sentence names the file, what it is and what to do."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from central.intake.collector import Broker, tls_of
from kiosk.config import Config
from kiosk.delivery.mqtt import open_link
from kiosk.delivery.pem import Files, context_of
from kiosk.delivery.routes import Route
from kiosk.errors import ConfigError, UpdateError
from kiosk.updates import fetch

CA = trustme.CA()
LEAF = CA.issue_cert("kiosk.example")
OTHER = CA.issue_cert("other.example")
CERT, KEY = LEAF.cert_chain_pems[0].bytes(), LEAF.private_key_pem.bytes()
PRIVATE = load_pem_private_key(KEY, None)
DER_CERT = x509.load_pem_x509_certificate(CERT).public_bytes(Encoding.DER)


def _key(encoding: Encoding, kind: PrivateFormat, passphrase: bytes = b"") -> bytes:
    return PRIVATE.private_bytes(encoding, kind, BestAvailableEncryption(passphrase) if passphrase else NoEncryption())


def _as(tmp_path: Path, **contents: bytes | None) -> Files:
    """The good pair, but for these."""
    paths: dict[str, Path | None] = {}
    for part, content in ({"ca": CA.cert_pem.bytes(), "cert": CERT, "key": KEY} | contents).items():
        paths[part] = None if content is None else tmp_path / f"{part}.pem"
        if content is not None:
            (tmp_path / f"{part}.pem").write_bytes(content)
    return Files(**paths, setting="uplink.tls.{}_file")


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem,
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem.replace(b"\n", b"  \n"),
        lambda pem: pem.replace(b"\n", b"\t\r\n"),
        lambda pem: pem.rstrip(),
        lambda pem: b"# of the door at the back\n\n" + pem + b"\n\n",
    ],
    ids=["as made", "CRLF", "spaces at the end", "tabs and CRLF", "no last line end", "words around it"],
)
def test_what_editors_do_to_lines_does_no_harm(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """In all three files alike."""
    files = _as(tmp_path, ca=change(CA.cert_pem.bytes()), cert=change(CERT), key=change(KEY))
    assert context_of(files, "1.3").get_ca_certs()


def test_pair_in_one_file(tmp_path: Path) -> None:
    """As `central ca` and enrolment leave it: the key and the certificate, in any order, and an authority behind them."""
    for content in (KEY + CERT, CERT + KEY, KEY + CERT + CA.cert_pem.bytes()):
        context_of(_as(tmp_path, cert=content, key=None), "1.3")
        context_of(_as(tmp_path, cert=content, key=content), "1.3")


@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS#8", "traditional"])
def test_key_in_either_form(tmp_path: Path, kind: PrivateFormat) -> None:
    """Both that OpenSSL writes."""
    context_of(_as(tmp_path, key=_key(Encoding.PEM, kind)), "1.2")


def _middle_missing(pem: bytes) -> bytes:
    return pem[:100] + pem[140:]


FAULTS = [
    ("cert", codecs.BOM_UTF8 + CERT, "saved by a text editor", "copy the original file, byte by byte"),
    ("key", KEY.decode().encode("utf-16"), "saved by a text editor", "copy the original file, byte by byte"),
    ("ca", CERT.decode().encode("utf-16-be"), "saved by a text editor", "copy the original file, byte by byte"),
    ("cert", DER_CERT, "is not PEM", "`openssl x509 -inform der -in "),
    ("key", _key(Encoding.DER, PrivateFormat.PKCS8), "is not PEM", "`openssl pkey -inform der -in "),
    ("key", b"", "is not PEM", "it should begin with -----BEGIN"),
    ("key", b"PuTTY-User-Key-File-3: ssh-ed25519\n", "is not PEM", "it should begin with -----BEGIN"),
    ("key", _key(Encoding.PEM, PrivateFormat.PKCS8, b"x"), "locked with a passphrase", "`openssl pkey -in "),
    ("key", _key(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, b"x"), "locked with a passphrase", "`openssl pkey"),
    ("key", _key(Encoding.PEM, PrivateFormat.OpenSSH), "is a key for SSH", "name the key of the certificate"),
    ("key", CERT, "should have a private key in it, and has CERTIFICATE", "which file is which"),
    ("cert", KEY, "should have a certificate in it, and has (EC|RSA) PRIVATE KEY", "which file is which"),
    ("ca", KEY, "should have a certificate in it, and has (EC|RSA) PRIVATE KEY", "which file is which"),
    ("cert", CERT[:-40], "is damaged", "copy the original file again"),
    ("cert", _middle_missing(CERT), "is damaged", "copy the original file again"),
    ("ca", _middle_missing(CERT), "is damaged", "copy the original file again"),
    ("key", KEY[:-40], "is damaged", "copy the original file again"),
    ("key", KEY.replace(b"\n", b"\n   "), "is damaged", "copy the original file again"),
    ("key", OTHER.private_key_pem.bytes(), "is not that of the certificate in ", "two that were made together"),
]


@pytest.mark.parametrize(("part", "content", "said", "remedy"), FAULTS, ids=[f"{row[0]}: {row[2]}" for row in FAULTS])
def test_file_that_cannot_be_used_is_named(tmp_path: Path, part: str, content: bytes, said: str, remedy: str) -> None:
    """With its setting, its path, what is wrong with it, and what to do; nobody is asked for a passphrase."""
    with pytest.raises(ConfigError) as caught:
        context_of(_as(tmp_path, **{part: content}), "1.3")
    assert re.search(
        rf"^uplink\.tls\.{part}_file: .*{re.escape(str(tmp_path / part))}\.pem.* ?{said}", str(caught.value)
    )
    assert remedy in str(caught.value.hint)


def test_order_of_a_chain_is_told(tmp_path: Path) -> None:
    """The authority's certificate before the own one: OpenSSL takes the first."""
    with pytest.raises(ConfigError, match=r"is not that of the certificate .* the own one stands first"):
        context_of(_as(tmp_path, cert=CA.cert_pem.bytes() + CERT), "1.3")


def test_missing_key_is_named(tmp_path: Path) -> None:
    """A certificate alone, and no key_file beside it."""
    with pytest.raises(ConfigError, match=r"cert_file: .* has a certificate in it, and no private key; name the key's"):
        context_of(_as(tmp_path, key=None), "1.3")


def test_station_updates_and_centre_say_the_same(tmp_path: Path, make_config: Callable[..., Config]) -> None:
    """One door for all of them; each names its own setting."""
    files = _as(tmp_path, key=OTHER.private_key_pem.bytes())
    tls = {"ca_file": str(files.ca), "cert_file": str(files.cert), "key_file": str(files.key)}
    config = make_config(uplink={"brokers": ["mqtts://127.0.0.1:1"], "tls": tls})
    with pytest.raises(ConfigError, match=r"uplink\.tls\.key_file: the key in "):
        open_link(config, Route("mqtts://127.0.0.1:1", "5"), b"")
    with pytest.raises(UpdateError, match=r"uplink\.tls\.key_file: the key in "):
        fetch.context_of(config)
    with pytest.raises(ConfigError, match="--key-file: the key in "):
        tls_of(Broker("mqtts://127.0.0.1", ca_file=files.ca, cert_file=files.cert, key_file=files.key))
