"""The bundle of an update, installed: by root, who believes nobody but the fleet's and the bundle's signatures.

The order is judged anew, the bundle's hash is compared with it, an older version is refused; then RAUC does the rest, which
judges signature, board and version once more. Whatever is read here may have been written by a process that was taken over,
so no link is followed and nothing is read without a bound.

Units: `_s` seconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.envelopes.offer import key_of
from kiosk.errors import UpdateError
from kiosk.log import line
from kiosk.updates import updating
from kiosk.updates.rules import Mark, State, standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.envelopes.offer import Offer

_log = logging.getLogger(__name__)

LONGEST_S = 1800.0
"""Writing a slot of a worn card."""
TRIES = 3
"""Of one order; a power cut ends one."""
_DONE = frozenset({State.INSTALLED, State.ON_TRIAL, State.PROVED, State.FAILED})


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are. Root does not take them from the configuration, which others write.

    Attributes:
        inbox: The uplink's folder.
        data: Root's folder.
        version_file: Which version runs.
        root: Where /proc is.
    """

    inbox: Path = Path("/var/lib/kiosk/update")
    data: Path = Path("/state/rauc")
    version_file: Path = Path("/usr/lib/kiosk/version")
    root: Path = Path("/")


def install(places: Places, keys: Mapping[bytes, Ed25519PublicKey]) -> bool:
    """Install what is ordered and fetched, if it is not done already.

    Returns:
        Whether a new version waits for its trial.

    Raises:
        UpdateError: It was refused, or could not be installed.
    """
    (places.inbox / updating.READY).unlink(missing_ok=True)
    order = updating.order_in(places.inbox, keys)
    if order is None or order.update is None:
        raise UpdateError("there is no order that the fleet has signed")
    running = updating.version_of(places.version_file)
    seen = updating.found(running, order, places.inbox, places.data)
    before = standing(seen)
    if before.state in _DONE or seen.pending:
        _log.info(line("update-not-now", version=order.update.version, state=before.state.value))
        return False
    tries = before.tries + 1 if before.state is State.INSTALLING else 1
    mark_file = places.data / updating.INSTALL
    try:
        if reason := updating.why_unfit(places.version_file, places.root):
            raise UpdateError(reason)
        if key_of(order.update.version) < key_of(running):
            raise UpdateError(f"{order.update.version} is older than {running}, which runs here")
        if tries > TRIES:
            raise UpdateError(f"it was begun {TRIES} times and never finished")
        updating.write_mark(mark_file, Mark(order.id.hex(), State.INSTALLING, "", tries))
        bundle = places.inbox / updating.BUNDLE
        _compare(bundle, order.update)
        _rauc(bundle)
    except _NotFetchedError:
        raise
    except UpdateError as error:
        updating.write_mark(mark_file, Mark(order.id.hex(), State.FAILED, str(error.args[0]), tries))
        raise
    updating.write_mark(mark_file, Mark(order.id.hex(), State.INSTALLED, "", tries))
    _log.info(line("update-installed", version=order.update.version))
    return True


class _NotFetchedError(UpdateError):
    """The file is not the one that was ordered: it is fetched again, and this was one try."""


def _compare(path: Path, offer: Offer) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _NotFetchedError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_size != offer.size_bytes:
            raise _NotFetchedError(f"{path} is not as large as the bundle that was ordered")
        if hashlib.file_digest(file, "sha256").digest() != offer.sha256:
            raise _NotFetchedError(f"{path} is not the bundle that was ordered")


def _rauc(bundle: Path) -> None:
    try:
        done = subprocess.run(
            ["rauc", "install", str(bundle)], capture_output=True, text=True, errors="replace", check=False,
            timeout=LONGEST_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"rauc cannot be run: {error}") from error
    said = [text.strip() for text in (done.stdout + done.stderr).splitlines() if text.strip()]
    for text in said:
        _log.info(line("rauc", said=text))
    if done.returncode != 0:
        reason = next((text for text in said if text.startswith("LastError:")), said[-1] if said else "it says nothing")
        raise UpdateError(f"rauc refuses the bundle: {reason}"[:200])
