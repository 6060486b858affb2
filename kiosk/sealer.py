"""What becomes of a person between the decision and the disk: sealed, only counted, or, where an office decided so, left open.

The list of keys is a file that the uplink replaces (`kiosk.trust.authority_keys`); it is looked at before every seal and read again
when it has changed. A list that is older than the one in use, or not the authority's, is not taken.

Units: `_s` seconds.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kiosk.clock import judging_s
from kiosk.envelopes.seal import seal
from kiosk.errors import SealError
from kiosk.language.message import say
from kiosk.log import line
from kiosk.trust import authority_keys

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from kiosk.config import Config
    from kiosk.envelopes.seal import Person
    from kiosk.model import Moment, Sealed
    from kiosk.trust.authority_keys import KeyList

_log = logging.getLogger(__name__)

ENDING_S = 7 * 86_400
"""So long before the last key's end the centre is told."""


class Sealer:
    """One process's view of the list of keys. One thread at a time."""

    def __init__(self, config: Config) -> None:
        self._mode = config.seal.mode
        self._kiosk = config.kiosk.id
        self._authority_path = config.seal.authority_file
        self._path = list_path(config)
        self._keys: KeyList | None = None
        self._seen: tuple[int, ...] = ()

    def protect(self, person: Person, entry: UUID, now: Moment) -> tuple[Person, tuple[Sealed, ...]]:
        """What an entry may hold of this person: parts in the clear, and boxes.

        Args:
            person: What `record.keep` keeps.
            entry: The entry's id.
            now: Now.

        Raises:
            SealError: There is no key for now, so this person must not be recorded.
        """
        if self._mode == "off":
            return person, ()
        if self._mode == "count" or not person:
            return (), ()
        return (), tuple(seal(person, key, self._kiosk, entry) for key in self._list().current(now))

    def check(self, now: Moment) -> None:
        """See trouble before a citizen stands there.

        Raises:
            SealError: Nobody could be recorded now.
        """
        if self._mode == "required":
            self._list().current(now)

    def warnings(self, now: Moment) -> list[str]:
        """What the centre is to know: "not-sealed", "only-counted", "no-authority-key", "authority-keys-ending"."""
        if self._mode != "required":
            return ["not-sealed" if self._mode == "off" else "only-counted"]
        try:
            self.check(now)
        except SealError:
            return ["no-authority-key"]
        now_s = judging_s(now)
        ends = now_s is not None and self._list().until_s - now_s < ENDING_S
        return ["authority-keys-ending"] if ends else []

    def _list(self) -> KeyList:
        """The newest list that is the authority's.

        Raises:
            SealError: There is none.
        """
        seen = _look(self._path) + _look(self._authority_path)
        if self._keys is None or seen != self._seen:
            try:
                fresh = authority_keys.load(self._path, authority_keys.authority_key(self._authority_path))
                if self._keys is not None and fresh.issued_s < self._keys.issued_s:
                    raise SealError(say("the list of keys is older than the one in use"))
            except SealError as error:
                if self._keys is None:
                    raise
                _log.warning(line("keys-not-taken", reason=error))
            else:
                self._keys = fresh
            self._seen = seen
        return self._keys


def list_path(config: Config) -> Path:
    """Where the authority's list of keys is."""
    return config.seal.authority_keys_file or config.state.dir / "identity" / "authority-keys.cose"


def _look(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_mtime_ns, found.st_size
