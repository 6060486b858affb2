"""The page on which a phone shows its moving pass: plain files for any web server, or one file.

    index.html              all of it: words, style, the QR encoder with its licence, the script
    worker.js               keeps the page on the phone, for when there is no network
    manifest.webmanifest    name and picture on the home screen
    icon.png

The page may run nothing but its two scripts, whose hashes its policy names, and may fetch and send nothing. The key is made
on the phone by WebCrypto and cannot be taken out; whoever serves the page could sign with it, so the office serves it itself.

The phone says its key as digits, because keyboards that compose Vietnamese letters change letters that a scanner types:

    1 · decimal(PUBLIC KEY of 32 bytes, first 4 bytes of SHA-256("kiosk-phone-1", PUBLIC KEY)), 87 digits

Sources: WebCrypto's Ed25519 is in Chrome 137, Firefox 129 and Safari 17.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

from central import paper
from central.passes import qr_encoder
from kiosk import forms
from kiosk.errors import ConfigError

PHONE_PURPOSE = b"kiosk-phone-1"
KEY_BYTES, CHECK_BYTES, PHONE_DIGITS = 32, 4, 87
_SOURCES = Path(__file__).with_name("phone")


def files() -> dict[str, bytes]:
    """The page's files by their names.

    Raises:
        ConfigError: The QR encoder is not on this machine, or is another version.
    """
    licence, encoder = (qr_encoder.read(part).decode() for part in (qr_encoder.LICENCE, qr_encoder.SCRIPT))
    style, script = (_source(name) for name in ("page.css", "page.js"))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(encoder)} {_hash(script)}",
            f"style-src {_hash(style)}",
            "img-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    page = _source("page.html").replace("@POLICY@", policy)
    for place, text in (("@STYLE@", style), ("@LICENCE@", licence), ("@ENCODER@", encoder), ("@SCRIPT@", script)):
        page = page.replace(place, text)
    version = hashlib.sha256(page.encode()).hexdigest()[:16]
    manifest = {
        "name": "Thẻ ra vào",
        "lang": "vi",
        "start_url": "./",
        "display": "standalone",
        "background_color": "#ffffff",
        "icons": [{"src": "icon.png", "type": "image/png", "sizes": "232x232"}],
    }
    return {
        "index.html": page.encode(),
        "worker.js": _source("worker.js").replace("@VERSION@", version).encode(),
        "manifest.webmanifest": json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n",
        "icon.png": paper.png("KP1", scale=8),
    }


def is_phone_number(text: str) -> bool:
    """Whether this is meant as a phone's number, and not as the name of a file."""
    return re.fullmatch(r"[\s0-9]{20,}", text) is not None


def phone_key(text: str) -> bytes:
    """The public key that a phone's number says.

    Raises:
        ConfigError: A digit is wrong or missing.
    """
    digits = "".join(text.split())
    if len(digits) == 1 + PHONE_DIGITS and digits[0] == "1" and (value := int(digits[1:])).bit_length() <= 288:
        whole = value.to_bytes(KEY_BYTES + CHECK_BYTES, "big")
        key, check = whole[:KEY_BYTES], whole[KEY_BYTES:]
        if hashlib.sha256(PHONE_PURPOSE + key).digest()[:CHECK_BYTES] == check:
            return key
    raise ConfigError(
        f"--holder-key: the phone's number of {len(digits)} digits has a wrong or missing one",
        hint="copy all 88 from the phone's page, or scan its code",
    )


def link(url: str, envelope: bytes) -> str:
    """The link that puts a pass onto a phone; what is behind # is never sent to the server."""
    return f"{url}#{base64.urlsafe_b64encode(envelope).decode().rstrip('=')}"


def checked_url(url: str) -> str:
    """The page's address.

    Raises:
        ConfigError: A phone's browser would make no key there.
    """
    scheme, _, rest = url.partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    here = scheme == "http" and place.partition(":")[0] in {"localhost", "127.0.0.1"}
    if (scheme != "https" and not here) or "#" in url:
        raise ConfigError(f"--page: {url} is no https address", hint="browsers keep keys for https pages only")
    if fault := forms.fault_of_place(place, needs_port=False):
        raise ConfigError(f"--page: {fault[0]}", hint=fault[1])
    return url


def _source(name: str) -> str:
    return (_SOURCES / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
