"""The station's side of enrolment: a provisioning code becomes a certificate, a certificate its successor.

    first   GET /v1/ca           no secret is sent; the answer must have the fingerprint that the code carries
            POST /v1/enrol       TLS checked against that authority: token and request out, certificate in
    later   POST /v1/renew       with the present certificate, for a new key

Every wait ends, and no answer is longer than `LARGEST_BYTES`.

Units: `_s` seconds.

Sources:
    [1] RFC 7030, 4.1.1: the first step is EST's bootstrap of the authority's certificate.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kiosk.commissioning import identity
from kiosk.delivery.dial import HttpsConnection
from kiosk.delivery.tls import judge_dates
from kiosk.envelopes.provisioning_code import EXPIRED, NO_CENTRE, REFUSED, USED
from kiosk.errors import ProvisionError
from kiosk.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from kiosk.envelopes.provisioning_code import ProvisioningCode

STEP_S = 5.0
"""Longest wait for one step of an answer."""
LONGEST_S = 15.0
"""Longest time for a connection to any of the centre's addresses, and for one question and its answer."""
LARGEST_BYTES = 256 * 1024
_NUMBERS = {"used": USED, "expired": EXPIRED}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the centre gives.

    Attributes:
        certificate: The station's, PEM.
        authority_keys: The authority's signed list of keys; None where the centre has none.
    """

    certificate: bytes
    authority_keys: bytes | None


def authority_of(code: ProvisioningCode) -> bytes:
    """The authority's certificate, PEM, if it is the one that the code means.

    Raises:
        ProvisionError: NO_CENTRE, or REFUSED for another authority's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the fingerprint below decides; nothing secret is sent
    pem = _text(_asked(context, code.enrolment, "GET", "/v1/ca", None), "ca")
    try:
        fingerprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
    except ValueError:
        fingerprint = b""
    if fingerprint != code.ca_sha256:
        raise ProvisionError(REFUSED, say("{where} is not of the fleet that made this code", where=code.enrolment))
    return pem


def enrol(code: ProvisioningCode, ca_pem: bytes, key: EllipticCurvePrivateKey, runtime_dir: Path) -> Answer:
    """Redeem a code. While nobody has told the station the time, no date is judged.

    Args:
        code: The code.
        ca_pem: The authority's certificate.
        key: The station's new key; only a request signed with it leaves.
        runtime_dir: Where the centre's time is.

    Raises:
        ProvisionError: NO_CENTRE, USED, EXPIRED or REFUSED.
    """
    question = {"token": code.token.hex(), "request": identity.request_for(key, code.kiosk).decode()}
    context = _context(ca_pem.decode(), runtime_dir, ignore_unknown=True)
    answer = _asked(context, code.enrolment, "POST", "/v1/enrol", question)
    return _checked(answer, ca_pem, key, code.kiosk)


def renewed(enrolment: str, folder: Path, kiosk: str, key: EllipticCurvePrivateKey, runtime_dir: Path) -> Answer:
    """A certificate for a new key, by the present one.

    Args:
        enrolment: host:port of `central enrol`.
        folder: The station's identity.
        kiosk: Its id.
        key: The new key.
        runtime_dir: Where the centre's time is.

    Raises:
        ProvisionError: NO_CENTRE or REFUSED.
    """
    try:
        ca_pem = (folder / identity.CA).read_bytes()
        context = _context(ca_pem.decode(), runtime_dir)
        context.load_cert_chain(str(folder / identity.KEY))
    except (OSError, ValueError) as error:  # ssl.SSLError is the first
        raise ProvisionError(REFUSED, say("the present certificate cannot be used ({reason})", reason=error)) from error
    question = {"request": identity.request_for(key, kiosk).decode()}
    return _checked(_asked(context, enrolment, "POST", "/v1/renew", question), ca_pem, key, kiosk)


def _context(ca_pem: str, runtime_dir: Path, *, ignore_unknown: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    judge_dates(context, runtime_dir, ignore_unknown=ignore_unknown)
    return context


def _asked(
    context: ssl.SSLContext, where: str, method: str, path: str, question: dict[str, str] | None
) -> dict[str, object]:
    """One question, one answer, one connection."""
    parts = urlsplit(f"//{where}")
    deadline_s = time.monotonic() + LONGEST_S
    connection = HttpsConnection(parts.hostname or "", parts.port, context, step_s=STEP_S, longest_s=LONGEST_S)
    try:
        body = None if question is None else json.dumps(question).encode()
        connection.request(method, path, body, {"Content-Type": "application/json"})
        content = bytearray()
        with connection.getresponse() as response:  # which keeps the socket of a connection that was to be closed
            while chunk := response.read1(16_384):
                content += chunk
                if len(content) > LARGEST_BYTES or time.monotonic() > deadline_s:
                    raise ProvisionError(NO_CENTRE, say("{where} answers without end", where=where))
        answer = json.loads(content)
    except ssl.SSLCertVerificationError as error:
        what = say("{where} is not whom the code means: {reason}", where=where, reason=error.verify_message)
        raise ProvisionError(REFUSED, what) from error
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise ProvisionError(NO_CENTRE, say("{where} cannot be asked: {reason}", where=where, reason=reason)) from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise ProvisionError(NO_CENTRE, say("{where} answers what is not understood", where=where))
    if response.status != 200:
        word = str(answer.get("error", response.status))[:40]
        number = _NUMBERS.get(word, NO_CENTRE if response.status >= 500 or response.status == 429 else REFUSED)
        raise ProvisionError(number, say("the centre says {word!r}", word=word))
    return cast("dict[str, object]", answer)


def _checked(answer: dict[str, object], ca_pem: bytes, key: EllipticCurvePrivateKey, kiosk: str) -> Answer:
    certificate = _text(answer, "certificate")
    if not identity.fits(certificate, ca_pem, key, kiosk):
        raise ProvisionError(REFUSED, say("the centre's certificate is not for this station's key"))
    keys = answer.get("authority_keys")
    try:
        return Answer(certificate, base64.b64decode(keys, validate=True) if isinstance(keys, str) else None)
    except binascii.Error as error:
        raise ProvisionError(NO_CENTRE, say("the centre's list of keys cannot be read")) from error


def _text(answer: dict[str, object], name: str) -> bytes:
    value = answer.get(name)
    if not isinstance(value, str):
        raise ProvisionError(NO_CENTRE, say("the centre's answer has no {name}", name=name))
    return value.encode()
