"""Whom to believe: the trust folder, or the list that was delivered in its place; read at start, and again when it has changed.

A missing folder or file is no error: codes of that family cannot be verified and are refused. A file that is there and
wrong is one: at start the process says so and ends, later the station goes on with what it had believed and says so. A
delivered list (`kiosk.trust.trust_list`) takes the folder's place for good: what it no longer has is no longer believed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from kiosk.credential import trust as forms
from kiosk.credential.trust import Revoked, Trust
from kiosk.envelopes import cose
from kiosk.errors import ConfigError, TrustError
from kiosk.log import line
from kiosk.trust import trust_list
from kiosk.trust.fleet_keys import fleet_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")

FAMILIES = ("hc1", "shc", "nzcp", "pass")
MAX_FILE_BYTES = 16 << 20
MAX_FILES = 256

_log = logging.getLogger(__name__)


class TrustFolder:
    """What is believed now: what the delivered list says, else the folder. One thread only."""

    def __init__(self, folder: Path, list_path: Path | None = None, fleet_key_file: Path | None = None) -> None:
        """Read it. A delivered list that cannot be used is told, and nobody is believed: the folder may be older.

        Args:
            folder: The folder.
            list_path: Where the uplink puts the delivered list; None if none can come.
            fleet_key_file: Whose signature makes it one.

        Raises:
            TrustError: A file in the folder is wrong, and no list has been delivered.
        """
        self._folder = folder
        self._list_path = list_path
        self._fleet_key_file = fleet_key_file
        self._issued_s: int | None = None
        self._fault = ""
        self._seen = self._marks()
        self.trust = Trust()
        if list_path is None or not trust_list.is_there(list_path):
            self.trust = load(folder)
        else:
            self._read_anew()

    @property
    def fault(self) -> str:
        """Why what lies there now is not believed, one sentence; empty if it is."""
        return self._fault

    def look(self) -> None:
        """Read again if a file was added, removed or replaced."""
        marks = self._marks()
        if marks != self._seen:
            self._seen = marks
            self._read_anew()

    def _read_anew(self) -> None:
        try:
            self.trust = self._read()
        except (TrustError, ConfigError) as error:
            self._fault = str(error)
            _log.error(line("trust-fault", reason=self._fault))
        else:
            self._fault = ""
            listed = {} if self._issued_s is None else {"list": self._issued_s}
            _log.info(line("trust-read", families=",".join(families(self.trust)) or "-", **listed))

    def _read(self) -> Trust:
        if self._list_path is None or (self._issued_s is None and not trust_list.is_there(self._list_path)):
            return load(self._folder)
        keys = {} if self._fleet_key_file is None else fleet_keys(self._fleet_key_file)
        listed = trust_list.load(self._list_path, keys)
        if self._issued_s is not None and listed.head.issued_s < self._issued_s:
            raise TrustError(f"{self._list_path} is older than the list in use")
        trust = believed(listed.files, self._list_path)
        self._issued_s = listed.head.issued_s
        return trust

    def _marks(self) -> tuple[tuple[str, int, int, int], ...]:
        """What changes when a file does: name, inode, size, time of change."""
        try:
            further = [path for path in (self._list_path, self._fleet_key_file) if path is not None and path.is_file()]
            paths = sorted(path for path in self._folder.rglob("*") if path.is_file())
            stats = [(str(path), path.stat()) for path in (*further, *paths[: 4 * MAX_FILES])]
        except OSError:
            return ()
        return tuple((name, each.st_ino, each.st_size, each.st_mtime_ns) for name, each in stats)


def in_force(folder: Path, list_path: Path, fleet_key_file: Path) -> tuple[Path, Trust]:
    """Where what a station believes is said, and what that is.

    Raises:
        TrustError: A file is wrong; it is named.
        ConfigError: The fleet's key cannot be read.
    """
    if not trust_list.is_there(list_path):
        return folder, load(folder)
    return list_path, believed(trust_list.load(list_path, fleet_keys(fleet_key_file)).files, list_path)


def load(folder: Path) -> Trust:
    """All that the folder says.

    Raises:
        TrustError: A file in it is wrong; it is named.
    """
    return believed(read(folder), folder)


def read(folder: Path) -> dict[str, bytes]:
    """The files of the folder that say something, by their names in it.

    Raises:
        TrustError: One cannot be read, or they are too large or too many.
    """
    names = [name for name in ("hc1-keys.json", "shc-keys.json", "nzcp-keys.json") if (folder / name).exists()]
    for below, suffix in (("passes", ".pem"), ("revoked", ".cose")):
        names += [f"{below}/{path.name}" for path in _listed(folder / below, suffix)]
    return {name: _content(folder / name) for name in names}


def believed(files: Mapping[str, bytes], where: Path) -> Trust:
    """All that these files say.

    Args:
        files: Their content by their names.
        where: What is said in front of a file's name, if it is wrong.

    Raises:
        TrustError: A file is wrong; it is named.
    """

    def one(name: str, judge: Callable[[bytes], T]) -> T:
        try:
            return judge(files[name])
        except TrustError as error:
            raise TrustError(f"{where}/{name}: {error.args[0]}") from error

    def several(below: str, judge: Callable[[bytes], T]) -> list[T]:
        return [one(name, judge) for name in sorted(files) if name.startswith(below)]

    by_id = {cose.key_id(key): key for key in several("passes/", forms.pass_key)}
    revoked = Revoked()
    for each in several("revoked/", lambda message: forms.revoked_of(message, by_id)):
        revoked |= each
    return Trust(
        hc1=one("hc1-keys.json", forms.hc1_keys) if "hc1-keys.json" in files else None,
        shc=one("shc-keys.json", forms.shc_keys) if "shc-keys.json" in files else None,
        nzcp=one("nzcp-keys.json", forms.nzcp_keys) if "nzcp-keys.json" in files else None,
        passes=by_id or None,
        revoked=revoked,
    )


def families(trust: Trust) -> list[str]:
    """The signed families that can be verified, each with the number of its keys: `hc1=312`."""
    keys = (trust.hc1, trust.shc, trust.nzcp, trust.passes)
    return [f"{name}={len(known)}" for name, known in zip(FAMILIES, keys, strict=True) if known is not None]


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TrustError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise TrustError(f"{path} cannot be read: {error.strerror}") from error


def _listed(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.suffix == suffix)
    if len(found) > MAX_FILES:
        raise TrustError(f"{folder} holds more than {MAX_FILES} files")
    return found
