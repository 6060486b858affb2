"""Commands to one station: sign, write down, send, wait for what it says.

The journal is written and flushed before a command leaves: one JSON line for everything that was ever signed, and the counters
that make each command work once. A counter is the time in milliseconds, or one more than the last, so that a lost journal does
not lock the fleet out.

A command is not kept for a station that is away: whoever sends it sees at once whether it was obeyed. MQTT 3.1.1, which every
broker speaks.

Units: `_s` seconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

import zstandard
from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from central.intake.collector import Broker, check_url, password_of, tls_of
from central.intake.reaching import ReachingClient, not_connected, not_served
from kiosk.delivery import wire
from kiosk.envelopes import remote
from kiosk.envelopes.remote import Command, Verb
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CONNECT_S = 10.0
RETAINED_S = 2.0
"""How long to wait for what the broker keeps of the station's status; some keep nothing."""
KEEPALIVE_S = 20
QOS = 1
LARGEST_BYTES = 256 * 1024
LARGEST_LETTER_BYTES = 4 << 20
_AWAY = frozenset({"lost", "stopped"})


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, and how long to wait for it.

    Attributes:
        kiosk: The station.
        verb: What.
        numbers: As in `kiosk.envelopes.remote.Command`.
        valid_s: How long the command holds.
        timeout_s: Longest wait for the station's word.
    """

    kiosk: str
    verb: Verb
    numbers: tuple[int, ...] = ()
    valid_s: int = 300
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        state: "done", "started", "failed", "refused", "away" or "no-answer".
        detail: A few words; from the station, so print it with care.
        letter: The diagnostics, if they were asked for.
    """

    state: str
    detail: str = ""
    letter: dict[str, Any] | None = None

    @property
    def well(self) -> bool:
        """Whether the station has done it, or has begun to restart."""
        return self.state in {"done", "started"}


class Journal:
    """Everything that was signed, one JSON line each; several may write to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] = (0, 0)
        """Which file, by its inode, and how many bytes of it."""
        self._last: dict[str, int] = {}

    def enter(self, kiosk: str, verb: Verb, numbers: Sequence[int], now_ns: int) -> Command:
        """A command with a counter of its own, which is on the disk when this returns.

        Raises:
            ConfigError: The journal cannot be read or written.
        """
        try:
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._read_on(file)
                counter = max(self._last.get(kiosk, 0) + 1, now_ns // 1_000_000)
                command = Command(secrets.token_bytes(remote.ID_BYTES), counter, verb, tuple(numbers))
                entered = {
                    "at_ns": now_ns,
                    "kiosk": kiosk,
                    "counter": command.counter,
                    "verb": verb.value,
                    "numbers": list(numbers),
                    "id": command.id.hex(),
                }
                file.write(json.dumps(entered) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigError(f"--journal: {self._path}: {error.strerror}", hint="name another file") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"--journal: {self._path} is damaged", hint="move it away; counters go on by the clock"
            ) from error
        return command

    def _read_on(self, file: TextIO) -> None:
        """Learn the counters of what has been written since, by whomever; all of it, if this is another file."""
        stat = os.fstat(file.fileno())
        if self._read[0] != stat.st_ino or self._read[1] > stat.st_size:
            self._read, self._last = (stat.st_ino, 0), {}
        file.seek(self._read[1])
        for each in map(json.loads, file):
            self._last[each["kiosk"]] = max(self._last.get(each["kiosk"], 0), int(each["counter"]))
        self._read = (stat.st_ino, stat.st_size)


def numbers_of(verb: Verb, values: Sequence[str]) -> tuple[int, ...]:
    """The numbers that a verb takes, from the words of a command line.

    Raises:
        ConfigError: They are not what it takes.
    """
    text = " ".join(values)
    try:
        match verb:
            case Verb.VOLUME if text == "configured":
                return ()
            case Verb.VOLUME if 0 <= int(text) <= 100:
                return (int(text),)
            case Verb.RESEND:
                first, last = (int(part) for part in text.split(".."))
                if 1 <= first <= last <= remote.MAX_NUMBER:
                    return first, last
            case _ if not text:
                return ()
    except ValueError:
        pass
    forms = {Verb.VOLUME: "0 to 100, or `configured`", Verb.RESEND: "FROM..TO, as in 120..180"}
    raise ConfigError(f"{verb}: {text!r} is not what it takes", hint=f"write {forms.get(verb, 'nothing behind it')}")


def send(broker: Broker, key: Ed25519PrivateKey, journal: Journal, order: Order) -> Outcome:
    """Tell the station, and wait for what it says.

    Raises:
        LinkError: The broker cannot be used.
        ConfigError: The journal, a certificate or the password cannot be used.
    """
    wire_ = _Wire(broker, order.kiosk)
    try:
        wire_.until(lambda: wire_.subscribed, CONNECT_S)
        if not wire_.subscribed:
            raise not_served(broker, "does not let the centre in", wire_.reason or "no answer")
        wire_.until(lambda: bool(wire_.status), RETAINED_S)
        if wire_.status.get("state") in _AWAY:
            return Outcome("away", f"the station is {wire_.status['state']}; a command is not kept for it")
        now_ns = time.time_ns()
        command = journal.enter(order.kiosk, order.verb, order.numbers, now_ns)
        message = remote.signed(command, order.kiosk, key, now_ns // 1_000_000_000, order.valid_s)
        wire_.publish(remote.commands_topic(order.kiosk), message)
        found: list[Outcome] = []

        def answered() -> bool:
            outcome = _outcome(wire_, command, message)
            found[:] = [] if outcome is None else [outcome]
            return bool(found)

        wire_.until(answered, order.timeout_s)
        return found[0] if found else Outcome("no-answer", f"within {order.timeout_s:.0f} s")
    finally:
        wire_.close()


def _outcome(wire_: _Wire, command: Command, message: bytes) -> Outcome | None:
    """What the station's last status says of this command; None while it says nothing final."""
    commands = wire_.status.get("commands")
    if not isinstance(commands, dict):
        return None
    refused = commands.get("last_refused")
    digest = hashlib.sha256(message).digest()[:8].hex()
    if isinstance(refused, dict) and refused.get("digest") == digest:
        return Outcome("refused", str(refused.get("reason"))[:200])
    last = commands.get("last")
    if not isinstance(last, dict) or last.get("id") != command.id.hex():
        return None
    state, detail = str(last.get("state")), str(last.get("detail"))[:200]
    if state == "started":
        return Outcome(state) if command.verb is Verb.REBOOT else None
    if state not in {"done", "failed"}:
        return None
    letter = wire_.letter if wire_.letter is not None and wire_.letter.get("command") == command.id.hex() else None
    if command.verb is Verb.DIAGNOSTICS and state == "done" and letter is None:
        return None  # it is still on its way
    return Outcome(state, detail, letter)


def client_of(broker: Broker, name: str) -> Client:
    """A client that has the centre's credentials and is not connected yet.

    Raises:
        ConfigError: A certificate or the password cannot be used.
    """
    client = ReachingClient(CallbackAPIVersion.VERSION2, name, protocol=MQTTv311, reconnect_on_failure=False)
    if broker.username is not None:
        client.username_pw_set(broker.username, password_of(broker))
    if urlsplit(check_url(broker.url)).scheme == "mqtts":
        client.tls_set_context(tls_of(broker))
        client.take_place(broker)
    return client


def connect(client: Client, broker: Broker) -> None:
    """Connect it.

    Raises:
        LinkError: The broker cannot be reached.
    """
    parts = urlsplit(broker.url)
    port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    try:
        client.connect(parts.hostname or "", port, KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise not_connected(broker.url, error) from error


class _Wire:
    """One connection for one command. One thread only; paho runs none."""

    def __init__(self, broker: Broker, kiosk: str) -> None:
        self.subscribed = False
        self.reason = ""
        self.status: dict[str, Any] = {}
        self.letter: dict[str, Any] | None = None
        self._kiosk = kiosk
        self._client = client_of(broker, f"{broker.client_id}-{secrets.token_hex(4)}")
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        connect(self._client, broker)

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, QOS)

    def until(self, true: Callable[[], bool], longest_s: float) -> None:
        """Let paho work until this is true, the time is over or the connection is."""
        deadline_s = time.monotonic() + longest_s
        while not true() and not self.reason and time.monotonic() < deadline_s:
            code = self._client.loop(0.05)
            if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                self.reason = self.reason or code.name

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop(0)

    def _on_connect(self, client: Client, _user: object, _flags: object, reason: Any, _properties: object) -> None:  # noqa: ANN401
        if reason.is_failure:
            self.reason = str(reason)
            return
        topics = (wire.status_topic(self._kiosk), remote.diagnostics_topic(self._kiosk))
        client.subscribe([(topic, QOS) for topic in topics])

    def _on_subscribe(self, _client: Client, _user: object, _mid: int, reasons: Any, _properties: object) -> None:  # noqa: ANN401
        if any(reason.is_failure for reason in reasons):
            self.reason = f"subscription: {reasons[0]}"
        else:
            self.subscribed = True

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        """Whatever comes here may have been written by anyone who holds the broker."""
        payload = bytes(message.payload)
        if len(payload) > LARGEST_BYTES:
            return
        try:
            if message.topic == wire.status_topic(self._kiosk):
                read = json.loads(payload)
                self.status = read if isinstance(read, dict) else {}
            elif 0 < zstandard.frame_content_size(payload) <= LARGEST_LETTER_BYTES:
                read = json.loads(zstandard.ZstdDecompressor().decompress(payload))
                self.letter = read if isinstance(read, dict) else None
        except (ValueError, RecursionError, zstandard.ZstdError):
            return
