"""The demo's authority: makes keys in a folder of its own, and is the only one who can read who passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from central.keys.keystore import KeyStore
from central.keys.opening import Opener
from kiosk.envelopes.seal import CLASSIC

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DAYS = 3
_TELLING = ("number", "name")


@dataclass(frozen=True, slots=True)
class Secrecy:
    """What the authority can read, and what anybody could.

    Attributes:
        sealed: Persons in the ledger that are sealed.
        opened: Of those, how many the authority's private keys open.
        in_the_clear: Of those, how many have their number or name readable in any file of the kiosk or the centre.
    """

    sealed: int
    opened: int
    in_the_clear: int

    @property
    def holds(self) -> bool:
        """Whether the authority can read every person, and nobody else any."""
        return self.sealed == self.opened and not self.in_the_clear

    def __str__(self) -> str:
        return f"demo sealed={self.sealed} opened={self.opened} in_the_clear={self.in_the_clear}"


class Office:
    """One authority."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = KeyStore(folder / "authority")
        self._store.make(datetime.now(UTC).date(), DAYS, suite=CLASSIC)
        self._store.publish()

    @property
    def keys_folder(self) -> Path:
        """Where the private keys are."""
        return self._store.folder

    def settings(self) -> dict[str, str]:
        """The section `seal` of a kiosk that seals to this authority."""
        return {
            "authority_file": str(self._store.authority_path),
            "authority_keys_file": str(self._store.list_path),
        }

    def opened(self, rows: Iterable[Any]) -> list[Any]:
        """Rows of the ledger with their persons."""
        return list(self._opener().open(rows))

    def judge(self, rows: list[Any]) -> Secrecy:
        """Open everything, and look for it in every file that the demo has written.

        Args:
            rows: Of the ledger.
        """
        sealed = [row for row in rows if row.entry.sealed]
        people = [dict(row.entry.person) for row in self.opened(sealed) if row.entry.person]
        files = [path for path in self._folder.rglob("*") if path.is_file() and self._store.folder not in path.parents]
        written = b"\0".join(path.read_bytes() for path in files)
        told = [
            person for person in people if any(person[key].encode() in written for key in _TELLING if key in person)
        ]
        return Secrecy(len(sealed), len(people), len(told))

    def _opener(self) -> Opener:
        return Opener({one.key.public.id: one.key for one in self._store.stored()})
