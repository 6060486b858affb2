"""The bundle of an update, fetched: piece by piece, over HTTPS, resumed where it was broken off, believed by its hash.

The order that names address, size and hash was signed by the fleet, so the server is not trusted; TLS keeps others from seeing
which update a station takes. No byte more than ordered is written, and entries go first: room for them is left on the card.

Units: `_s` seconds.
"""

from __future__ import annotations

import hashlib
import os
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kiosk.delivery import pem
from kiosk.delivery.dial import LONGEST_S, HttpsConnection
from kiosk.delivery.pem import Files
from kiosk.delivery.tls import judge_dates
from kiosk.disk import durable
from kiosk.errors import ConfigError, UpdateError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from kiosk.config import Config
    from kiosk.envelopes.offer import Offer

STEP_S = 20.0
"""Longest wait for the answer, and for one piece."""
PIECE_BYTES = 64 * 1024
SPARE_BYTES = 64 << 20
_OK, _PARTIAL, _BEYOND = 200, 206, 416


def fetch(offer: Offer, part: Path, target: Path, config: Config, go_on: Callable[[], bool]) -> bool:
    """Fetch what is missing.

    Args:
        offer: What is to be fetched.
        part: Where it grows, over several attempts.
        target: What it becomes when it is whole.
        config: Whom to trust, and how much room to leave.
        go_on: False once it shall be broken off.

    Returns:
        Whether it is whole.

    Raises:
        UpdateError: The server does not give it, there is no room, or what came is not what was ordered.
    """
    have = part.stat().st_size if part.exists() else 0
    if have > offer.size_bytes:
        part.unlink()
        have = 0
    _check_room(part.parent, offer.size_bytes - have + (config.outbox.min_free_mb << 20) + SPARE_BYTES)
    if have < offer.size_bytes:
        _receive(offer, part, have, context_of(config), go_on)
    if part.stat().st_size < offer.size_bytes:
        return False
    if sha256_of(part) != offer.sha256:
        part.unlink()
        raise UpdateError(f"what {offer.url} gives is not the bundle that was ordered", hint="compare the files there")
    part.replace(target)
    durable.flush_folder(target.parent)
    return True


def context_of(config: Config) -> ssl.SSLContext:
    """How the server is trusted: as the broker is. The station's certificate is shown if this process can read it.

    Raises:
        UpdateError: A certificate cannot be used.
    """
    tls = config.uplink.tls
    is_readable = tls.cert_file is not None and os.access(tls.cert_file, os.R_OK)
    cert, key = (tls.cert_file, tls.key_file) if is_readable else (None, None)
    try:
        context = pem.context_of(Files(tls.ca_file, cert, key, "uplink.tls.{}_file"), tls.least_version)
    except ConfigError as error:
        raise UpdateError(error.sentence, hint=error.hint) from error
    judge_dates(context, config.state.runtime_dir)
    return context


def sha256_of(path: Path) -> bytes:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _check_room(folder: Path, needed: int) -> None:
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        raise UpdateError(
            f"{needed >> 20} MB of room are needed for the update, {free >> 20} MB are free",
            hint="bring the uplink back so that entries leave, or use a larger card",
        )


def _receive(offer: Offer, part: Path, have: int, context: ssl.SSLContext, go_on: Callable[[], bool]) -> None:
    parts = urlsplit(offer.url)
    connection = HttpsConnection(parts.hostname or "", parts.port, context, step_s=STEP_S, longest_s=LONGEST_S)
    try:
        connection.request("GET", parts.path, headers={"Range": f"bytes={have}-"} if have else {})
        with connection.getresponse() as response:  # which keeps the socket of a connection that was to be closed
            if have and response.status in {_OK, _BEYOND}:
                part.unlink()  # from the start, at the next attempt
                raise UpdateError(f"{offer.url} cannot be resumed", hint="use a server that answers to Range")
            if response.status != (_PARTIAL if have else _OK):
                raise UpdateError(f"{offer.url}: the server says {response.status}", hint="is the bundle there?")
            if have and not (response.getheader("Content-Range") or "").startswith(f"bytes {have}-"):
                raise UpdateError(f"{offer.url}: another piece came than was asked for")
            with part.open("ab") as file:
                _pour(response, file.write, offer.size_bytes - have, go_on)
                file.flush()
                os.fsync(file.fileno())
    except (OSError, HTTPException) as error:
        if isinstance(error, UpdateError):
            raise
        raise UpdateError(f"{offer.url} cannot be fetched: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _pour(response: HTTPResponse, write: Callable[[bytes], object], missing: int, go_on: Callable[[], bool]) -> None:
    """Up to what is missing; what a broken connection has brought stays."""
    while missing > 0 and go_on():
        piece = response.read1(min(PIECE_BYTES, missing))
        if not piece:
            return
        write(piece)
        missing -= len(piece)
