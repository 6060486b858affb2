"""The authority's keys in one folder: a private key a day, the key that signs lists of public ones, and the last such list.

    authority.key         signs lists (Ed25519)              days/2026-11-24-<key id>.pem   opens the entries of one day
    authority.pem         what stations know it by           public.json                    the public halves, to be listed
    authority-keys.cose   the list that was published last

The folder belongs on an encrypted disk of a machine that no station reaches. Whoever has it can open every person of the
days whose keys are in it, and nobody else can, not even the authority once a key is destroyed.

Days begin at midnight of the place: `zone`.

Units: `_s` seconds of Unix time, UTC.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from central.keys import signing_key
from kiosk.disk import durable
from kiosk.envelopes.seal import PrivateKey, PublicKey
from kiosk.errors import SealError
from kiosk.trust import authority_keys
from kiosk.trust.authority_keys import DayKey, KeyList

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

RECIPIENT = "authority"
MOST_DAYS = 400
LARGEST_BYTES = 1 << 20
_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})-([0-9a-f]{16})\.pem")
_HEAD = re.compile(r"recipient: (\S+)\nfrom: (\d+)\nuntil: (\d+)\n")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One file of `days`.

    Attributes:
        path: The file.
        day: The day it is for.
        key: The key.
        listed: Its public half as a list has it.
    """

    path: Path
    day: date
    key: PrivateKey
    listed: DayKey


class KeyStore:
    """One recipient's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.list_path = folder / "authority-keys.cose"
        self.authority_path = folder / "authority.pem"
        self.public_path = folder / "public.json"
        self._days = folder / "days"

    def make(self, first: date, days: int, *, suite: str, recipient: str = RECIPIENT, zone: tzinfo = UTC) -> int:
        """Make a key for each of these days that has none.

        Args:
            first: The first day.
            days: How many, from 1.
            suite: How will be sealed to them.
            recipient: Who opens with them.
            zone: Where midnight is.

        Returns:
            How many were made.

        Raises:
            SealError: The folder cannot be written, or the suite is unknown.
        """
        if not 1 <= days <= MOST_DAYS:
            raise SealError(f"{days} days of keys", hint=f"make 1 to {MOST_DAYS}")
        with _named(self.folder):
            for folder in (self.folder, self._days):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
        there = {stored.day for stored in self.stored()}
        missing = [day for day in (first + timedelta(number) for number in range(days)) if day not in there]
        for day in missing:
            key = PrivateKey.make(suite)
            midnights = [datetime(each.year, each.month, each.day, tzinfo=zone) for each in (day, day + timedelta(1))]
            from_s, until_s = (int(midnight.timestamp()) for midnight in midnights)
            head = f"recipient: {recipient}\nfrom: {from_s}\nuntil: {until_s}\n"
            with _named(self.folder):
                durable.replace(self._days / f"{day}-{key.public.id}.pem", (head + key.to_pem()).encode())
        self._write_public()
        return len(missing)

    def stored(self) -> list[StoredKey]:
        """Every private key that is there, in order of days.

        Raises:
            SealError: The folder cannot be read, or a file in it is no key.
        """
        with _named(self.folder):
            paths = sorted(self._days.iterdir()) if self._days.is_dir() else []
        return [_stored(path) for path in paths if _FILE.fullmatch(path.name)]

    def publish(self, others: Sequence[Path] = (), now_s: int | None = None, zone: tzinfo = UTC) -> bytes:
        """Sign the list of all public keys that are not over; the signing key is made the first time.

        Args:
            others: `public.json` of further recipients.
            now_s: Now.
            zone: Of the times in what is said.

        Returns:
            The list, which is also in `list_path`.

        Raises:
            SealError: There is nothing to publish, or a file cannot be read or written.
        """
        now_s = int(time.time()) if now_s is None else now_s
        keys = [key for path in (self.public_path, *others) for key in _public(path) if key.until_s > now_s]
        if not any(key.from_s <= now_s for key in keys):
            raise SealError("there is no key for today", hint="run `central keys make` first")
        for recipient in dict.fromkeys(key.recipient for key in keys):
            _refuse_holes(recipient, [key for key in keys if key.recipient == recipient], now_s, zone)
        signer = self._signer()
        issued_s = now_s
        if self.list_path.exists():
            before = authority_keys.load(self.list_path, signer.public_key())
            issued_s = max(now_s, before.issued_s + 1)
        message = authority_keys.sign(KeyList(issued_s, tuple(keys)), signer)
        with _named(self.folder):
            durable.replace(self.list_path, message, 0o644)
        return message

    def destroy(self, before: date, now_s: int | None = None) -> list[StoredKey]:
        """Overwrite and remove the private keys of the days before this one; what was sealed to them is shut for ever.

        Args:
            before: The first day whose key stays.
            now_s: Now.

        Returns:
            What was destroyed.

        Raises:
            SealError: A key among them is still being sealed to, or a file cannot be written.
        """
        now_s = int(time.time()) if now_s is None else now_s
        doomed = [stored for stored in self.stored() if stored.day < before]
        if any(stored.listed.until_s > now_s for stored in doomed):
            raise SealError(
                "a key of today or later would be destroyed, and stations still seal to it",
                hint="name an earlier day with --before",
            )
        for stored in doomed:
            with _named(self.folder):
                _shred(stored.path)
        self._write_public()
        return doomed

    def _write_public(self) -> None:
        keys = [stored.listed for stored in self.stored()]
        rows = [
            {
                "recipient": key.recipient,
                "suite": key.key.suite,
                "key": key.key.raw.hex(),
                "from_s": key.from_s,
                "until_s": key.until_s,
            }
            for key in keys
        ]
        with _named(self.folder):
            durable.replace(self.public_path, json.dumps(rows, indent=1).encode() + b"\n", 0o644)

    def _signer(self) -> Ed25519PrivateKey:
        path = self.folder / "authority.key"
        with _named(self.folder):
            if not path.exists():
                made = Ed25519PrivateKey.generate()
                durable.replace(path, signing_key.private_pem(made))
            try:
                key = load_pem_private_key(path.read_bytes(), None)
            except (ValueError, TypeError) as error:
                raise SealError(f"{path} is no private key", hint="bring back the authority's own") from error
            if not isinstance(key, Ed25519PrivateKey):
                raise SealError(f"{path} is no Ed25519 key", hint="bring back the authority's own")
            durable.replace(self.authority_path, signing_key.public_pem(key), 0o644)
        return key


def _stored(path: Path) -> StoredKey:
    with _named(path):
        text = path.read_text("ascii", "replace")
    match = _FILE.fullmatch(path.name)
    head = _HEAD.match(text)
    if match is None or head is None:
        raise SealError(f"{path} is not a key as `central keys` writes it", hint="move it elsewhere")
    key = PrivateKey.from_pem(text)
    if key.public.id != match[2]:
        raise SealError(f"{path} holds the key {key.public.id}", hint="bring back the file that had this name")
    listed = DayKey(head[1], key.public, int(head[2]), int(head[3]))
    return StoredKey(path, date.fromisoformat(match[1]), key, listed)


def _public(path: Path) -> list[DayKey]:
    with _named(path):
        text = path.read_bytes()[:LARGEST_BYTES]
    try:
        return [
            DayKey(
                str(row["recipient"]),
                PublicKey(str(row["suite"]), bytes.fromhex(row["key"])),
                int(row["from_s"]),
                int(row["until_s"]),
            )
            for row in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise SealError(f"{path} is no public.json of `central keys`") from error


def _refuse_holes(recipient: str, keys: list[DayKey], now_s: int, zone: tzinfo) -> None:
    """A day without a key is a day without an open door: it is seen here, and not there."""
    until_s = now_s
    for key in sorted(keys, key=lambda key: key.from_s):
        if key.from_s > until_s:
            day = datetime.fromtimestamp(until_s, zone).isoformat(timespec="minutes")
            raise SealError(f"{recipient!r} has no key from {day} on", hint="run `central keys make` for these days")
        until_s = max(until_s, key.until_s)


def _shred(path: Path) -> None:
    size_bytes = path.stat().st_size
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, secrets.token_bytes(size_bytes))
        os.fsync(handle)
    finally:
        os.close(handle)
    path.unlink()
    durable.flush_folder(path.parent)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SealError(
            f"{error.filename or path}: {error.strerror}", hint="see who owns it, or name another folder"
        ) from error
