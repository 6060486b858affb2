"""The trust folder: read whole at start, and again when a file in it has changed.

A missing folder or file is no error: codes of that family cannot be verified and are refused. A file that is there and
wrong is one: at start the process says so and ends, later the station goes on with what it had believed and says so.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from kiosk import cose
from kiosk.credential import trust as forms
from kiosk.credential.trust import Revoked, Trust
from kiosk.errors import TrustError
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

FAMILIES = ("hc1", "shc", "nzcp", "pass")
MAX_FILE_BYTES = 16 << 20
MAX_FILES = 256

_log = logging.getLogger(__name__)


class TrustFolder:
    """What is believed now. One thread only."""

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            TrustError: A file in it is wrong.
        """
        self._folder = folder
        self._fault = ""
        self._seen = _marks(folder)
        self.trust = load(folder)

    def look(self) -> None:
        """Read the folder again if a file in it was added, removed or replaced."""
        marks = _marks(self._folder)
        if marks == self._seen:
            return
        self._seen = marks
        try:
            self.trust = load(self._folder)
        except TrustError as error:
            self._fault = str(error)
            _log.error(line("trust-fault", reason=self._fault))
        else:
            self._fault = ""
            _log.info(line("trust-read", families=",".join(families(self.trust)) or "-"))


def load(folder: Path) -> Trust:
    """All that the folder says.

    Raises:
        TrustError: A file in it is wrong; it is named.
    """
    believed = Trust(
        hc1=_one(folder / "hc1-keys.json", forms.hc1_keys),
        shc=_one(folder / "shc-keys.json", forms.shc_keys),
        nzcp=_one(folder / "nzcp-keys.json", forms.nzcp_keys),
    )
    keys = [_said(path, forms.pass_key) for path in _listed(folder / "passes", ".pem")]
    by_id = {cose.key_id(key): key for key in keys}
    revoked = Revoked()
    for path in _listed(folder / "revoked", ".cose"):
        revoked |= _said(path, lambda message: forms.revoked_of(message, by_id))
    return replace(believed, passes=by_id or None, revoked=revoked)


def families(trust: Trust) -> list[str]:
    """The signed families that can be verified, each with the number of its keys: `hc1=312`."""
    keys = (trust.hc1, trust.shc, trust.nzcp, trust.passes)
    return [f"{name}={len(known)}" for name, known in zip(FAMILIES, keys, strict=True) if known is not None]


def _one(path: Path, read: Callable[[bytes], T]) -> T | None:
    return _said(path, read) if path.exists() else None


def _said(path: Path, read: Callable[[bytes], T]) -> T:
    """What a file says, with its name before what is wrong with it."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TrustError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
        return read(path.read_bytes())
    except TrustError as error:
        raise TrustError(f"{path}: {error.args[0]}") from error
    except OSError as error:
        raise TrustError(f"{path} cannot be read: {error.strerror}") from error


def _listed(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.suffix == suffix)
    if len(found) > MAX_FILES:
        raise TrustError(f"{folder} holds more than {MAX_FILES} files")
    return found


def _marks(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What changes when a file does: name, inode, size, time of change."""
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        stats = [(str(path), path.stat()) for path in paths[: 4 * MAX_FILES]]
    except OSError:
        return ()
    return tuple((name, each.st_ino, each.st_size, each.st_mtime_ns) for name, each in stats)
