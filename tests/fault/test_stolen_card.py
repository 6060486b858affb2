"""A stolen card tells nothing: 3,000 people pass, everything is delivered and deleted, and the raw card is searched.

The card is an ext4 image of its own, with data in the journal, so that it remembers more than a real one. Everything that the
kiosk writes goes there: outbox, marks, a log at its most talkative, SQLite's and Python's temporary files. It is searched as a
thief would, block by block, for every person's number and name as text in three encodings, in hex, base64 and base45, and as bare hashes of the
number and of the whole code, also under keys that anyone would guess. What the broker carried and what the centre holds is searched, too. The same search must find hundreds where
sealing is off, or it would be blind.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import zstandard
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from central.intake.collector import Broker
from central.keys.keystore import KeyStore
from central.keys.opening import Opener
from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.envelopes import base45
from kiosk.envelopes.seal import CLASSIC
from kiosk.model import ClockQuality, Moment
from kiosk.outbox import Outbox
from tests.fault.door import Door, MovedClock, S
from tests.running import collecting, delivering, until

PEOPLE = 3000
FEW_PEOPLE = 300
CARD_MB = 96
LONGEST_S = 60.0
GUESSES = (b"", b"kiosk", b"test-1", b"office-1", b"main")
"""Keys that a thief tries first: none, and what stands on the box."""
HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256")
LETTERS = "BCDFGHKLMNPQRSTVX"


@dataclass(frozen=True)
class Person:
    """Somebody whom nobody else is like.

    Attributes:
        number: Twelve digits.
        name: A word of letters.
    """

    number: str
    name: str

    @property
    def code(self) -> bytes:
        """What her card shows."""
        return f"{self.number}||Nguyễn Thị {self.name}|01021990|Nữ|Thôn {self.name[::-1]}, Huế|15062021".encode()


def _people(count: int = PEOPLE) -> list[Person]:
    source = random.Random(3)
    return [Person(f"0{source.randrange(10**11):011d}", "".join(source.choices(LETTERS, k=14))) for _ in range(count)]


def forms_of(person: Person) -> Iterator[bytes]:
    """Every form in which this person could be recognised."""
    for text in (person.number, person.name, person.name[::-1]):
        raw = text.encode()
        yield raw
        for encoding in ("utf-16-le", "utf-16-be"):
            yield text.encode(encoding)
        yield from (raw.hex().encode(), raw.hex().upper().encode())
        for shift in range(3):  # wherever it begins in what was encoded
            yield base64.b64encode(bytes(shift) + raw)[(0, 2, 3)[shift] :].rstrip(b"=")[:-1]
        for shift in range(2):
            yield base45.encode(raw[shift:][: len(raw[shift:]) // 2 * 2]).encode()
    for secret in (person.number.encode(), person.code):
        for name in HASHES:
            digest = hashlib.new(name, secret).digest()
            yield from (digest[:16], digest.hex()[:32].encode(), base64.b64encode(digest)[:20])
            for key in (*GUESSES, digest):
                keyed = hmac.digest(key, secret, name)
                yield from (keyed[:16], keyed.hex()[:32].encode())
        for size in (8, 16, 20, 32):
            digest = hashlib.blake2b(secret, digest_size=size).digest()
            yield from (digest[:16], digest.hex()[:32].encode())


class Search:
    """Looks for all forms of everybody at once, by their first eight bytes."""

    def __init__(self, people: list[Person]) -> None:
        self._forms: dict[int, list[tuple[bytes, int]]] = {}
        for number, person in enumerate(people):
            for form in forms_of(person):
                assert len(form) >= 8, form
                self._forms.setdefault(int.from_bytes(form[:8], "little"), []).append((form, number))
        self._maybe = np.zeros(1 << 24, np.bool_)
        self._maybe[np.array([first & 0xFFFFFF for first in self._forms])] = True

    def found(self, data: bytes) -> set[int]:
        """Who is in it."""
        numbers: set[int] = set()
        for shift in range(min(8, max(0, len(data) - 7))):
            words = np.frombuffer(data, "<u8", (len(data) - shift) // 8, shift)
            for place in np.flatnonzero(self._maybe[words & np.uint64(0xFFFFFF)]):
                at = int(place) * 8 + shift
                for form, number in self._forms.get(int(words[place]), ()):
                    if data.startswith(form, at):
                        numbers.add(number)
        return numbers


def _run(*words: str) -> None:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    subprocess.run(words, check=True, capture_output=True, timeout=60, env=os.environ | {"PATH": path})


@dataclass
class Card:
    """A card's folder, and its raw blocks once it has been taken out."""

    folder: Path
    image: Path
    how: str = ""

    @contextmanager
    def inserted(self) -> Iterator[Path]:
        """A mounted image; where that is not allowed, a folder of which an image is made afterwards."""
        self.folder.mkdir()
        mounted = False
        with self.image.open("wb") as file:
            file.truncate(CARD_MB << 20)
        if os.geteuid() == 0:
            with suppress(subprocess.SubprocessError, OSError):
                _run("mke2fs", "-q", "-F", "-t", "ext4", str(self.image))
                _run("mount", "-o", "loop,data=journal", str(self.image), str(self.folder))
                mounted = True
        try:
            yield self.folder
        finally:
            if mounted:
                _run("umount", str(self.folder))
        if not mounted:
            _run("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(self.folder), str(self.image))
        self.how = "mounted" if mounted else "copied"


@dataclass
class Tap:
    """Somebody who hears everything that the broker carries."""

    url: str
    heard: list[bytes] = field(default_factory=list)

    def start(self) -> Client:
        """Listen."""
        client = Client(CallbackAPIVersion.VERSION2)
        listening = Event()
        client.on_message = self._hear
        client.on_connect = lambda client, *_: client.subscribe("#", 1)
        client.on_subscribe = lambda *_: listening.set()
        client.connect("127.0.0.1", int(self.url.rsplit(":", 1)[1]))
        client.loop_start()
        assert listening.wait(LONGEST_S)
        return client

    def _hear(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        self.heard.append(message.topic.encode() + b" " + payload)
        if payload.startswith(zstandard.FRAME_HEADER):
            self.heard.append(zstandard.ZstdDecompressor().decompress(payload))


@dataclass
class Life:
    """What one card went through, and what is left to be searched."""

    card: bytes
    traffic: bytes
    broker_log: bytes
    ledger: bytes
    how: str
    opened: list[dict[str, str]]


def _live(memory: Path, broker: Any, config_of: Callable[..., Config], store: KeyStore, people: list[Person]) -> Life:
    card = Card(memory / "card", memory / "card.img")
    tap = Tap(broker.url)
    ledger_path = memory / "ledger.db"
    listener = tap.start()
    with card.inserted() as folder:
        for name in ("tmp", "log"):
            (folder / name).mkdir()
        config = config_of(folder)
        log = logging.FileHandler(folder / "log" / "kiosk.log")
        logging.getLogger().addHandler(log)
        running = [collecting(Broker(broker.url), ledger_path), delivering(config)]
        outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
        door = Door(config, outbox)
        try:
            for number in range(len(people)):
                (cue,) = door.show(number)
                assert cue.startswith("recorded"), cue
            until(lambda: outbox.depth() == 0)
        finally:
            for each in running:
                each.stop()
        later = Moment(door.clock.now().wall_ns + 3 * 86_400 * S, "boot-2", 1, ClockQuality.SYNCED)
        for _ in range(2 * len(people)):
            if not outbox.sweep(later):
                break
        assert outbox.oldest_seq == len(people) + 1, "everything is deleted"
        outbox.close()
        logging.getLogger().removeHandler(log)
        log.close()
        assert (folder / "log" / "kiosk.log").stat().st_size > 100 * len(people)
    listener.disconnect()
    listener.loop_stop()
    ledger = SqliteLedger(ledger_path)
    keys = {one.key.public.id: one.key for one in store.stored()}
    opened = [dict(row.entry.person) for row in Opener(keys).open(ledger.entries())]
    ledger.close()
    broker_log = b"".join(path.read_bytes() for path in broker._folder.iterdir())
    return Life(card.image.read_bytes(), b"\n".join(tap.heard), broker_log, ledger_path.read_bytes(), card.how, opened)


@pytest.fixture(params=[FEW_PEOPLE, pytest.param(PEOPLE, marks=pytest.mark.slow)])
def people(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Person]:
    """Who comes to the door."""
    people = _people(request.param)
    monkeypatch.setattr("tests.fault.door.code_of", lambda number: people[number].code)
    return people


@pytest.mark.parametrize("mode", ["required", "off"])
def test_stolen_card_tells_nothing(
    *,
    mode: str,
    memory: Path,
    broker: Any,
    make_config: Callable[..., Config],
    people: list[Person],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Sealed: nobody on the card, in the traffic and at the centre, and the authority reads all. Off: found."""
    caplog.set_level(logging.DEBUG)
    store = KeyStore(memory / "authority")
    first = MovedClock().now().wall_ns // S
    store.make(datetime.fromtimestamp(first, UTC).date(), 3, suite=CLASSIC)
    store.publish(now_s=first)

    def config_of(folder: Path) -> Config:
        for name in ("SQLITE_TMPDIR", "TMPDIR"):
            monkeypatch.setenv(name, str(folder / "tmp"))
        return make_config(
            state={"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
            outbox={"min_free_mb": 8},
            uplink={"brokers": [broker.url], "receipt_timeout_s": 5.0},
            seal={
                "mode": mode,
                "authority_file": str(store.authority_path),
                "authority_keys_file": str(store.list_path),
            },
        )

    life = _live(memory, broker, config_of, store, people)
    search = Search(people)
    places = {"card": life.card, "traffic": life.traffic, "broker's files": life.broker_log, "ledger": life.ledger}
    counts = {place: len(search.found(data)) for place, data in places.items()}
    sys.stdout.write(f"seal.mode {mode}, card {life.how}, of {len(people)} people found: {counts}\n")
    expected = [{"number": one.number, "name": f"Nguyễn Thị {one.name}", "birth_year": "1990"} for one in people]
    assert sorted(life.opened, key=str) == sorted(expected, key=str)
    if mode == "required":
        assert counts == dict.fromkeys(places, 0)
    else:
        # Debian's SQLite overwrites what it deletes: files that are copied are clean, the blocks of a mounted card are not.
        if life.how == "mounted":
            assert counts["card"] > 0.1 * len(people), counts
        assert counts["traffic"] == counts["ledger"] == len(people)


def test_search_is_not_blind() -> None:
    """Every form of everybody is found wherever it begins, in the middle of noise; noise alone finds nobody."""
    source = random.Random(5)
    people = _people()[:40]
    search = Search(people)
    noise = source.randbytes(1 << 20)
    assert search.found(noise) == set()
    assert search.found(b"") == set()
    for number, person in enumerate(people):
        for form in forms_of(person):
            at = source.randrange(len(noise) - 100)
            assert number in search.found(noise[at : at + 37] + form + noise[:11])


def test_forms_are_those_that_encoders_make() -> None:
    """A code inside a larger text that was encoded as a whole holds the forms that are looked for."""
    (person,) = _people()[:1]
    search = Search([person])
    for begin in range(4):
        text = "x" * begin + person.number + "!" * 5
        raw = text.encode()
        for data in (
            raw,
            text.encode("utf-16"),
            base64.b64encode(raw),
            base45.encode(raw).encode(),
            raw.hex().encode(),
            hashlib.sha256(person.number.encode()).hexdigest().encode(),
            hashlib.md5(person.code).digest(),  # noqa: S324  a thief's
            hmac.digest(b"test-1", person.number.encode(), "sha256"),
        ):
            assert search.found(data + bytes(8)) == {0}, data
