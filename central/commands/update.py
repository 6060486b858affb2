"""`central update`: publish an update, roll it out in rings, see how far it is, halt it."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
import secrets
import signal
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from paho.mqtt.enums import MQTTErrorCode

from central.commands import options as shared
from central.fleet import dispatch, rollout
from central.fleet.rollout import Rollout, Seen
from central.intake.reaching import not_served
from central.keys import signing_key
from central.ledgers import export
from kiosk.cli import values, words
from kiosk.cli.words import Action
from kiosk.delivery import wire
from kiosk.envelopes import remote
from kiosk.envelopes.offer import LARGEST_BYTES, Offer, is_offer
from kiosk.envelopes.remote import Verb
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

    from central.intake.collector import Broker
    from kiosk.cli.words import Parser

LISTEN_S = 3.0
"""How long retained statuses are gathered before the first turn."""
TURN_S = 1.0
TOLD_AT_ONCE = 500
"""Orders of one turn; they are written down before the first of them leaves."""
VALID_S = 3600
MOST_STATIONS = 200_000
_NAME = re.compile(r"kiosk-([a-z0-9]+)-([0-9.]+\+[0-9]{14})\.raucb")
_log = logging.getLogger(__name__)


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action(
                "publish", "begin a roll-out of a bundle, and say from where stations fetch it", publish, _add_publish
            ),
            Action("run", "tell ring after ring; it halts by itself when stations fail", run_, _add_run),
            Action("status", "how far it is", show, _add_rollout),
            Action("halt", "tell nobody any more", partial(stop, "by hand"), _add_rollout),
            Action("resume", "go on after a halt", partial(stop, ""), _add_rollout),
        ),
    )


def _add_rollout(parser: Parser) -> None:
    parser.add_argument(
        "--rollout",
        type=Path,
        default=Path("rollout.json"),
        metavar="FILE",
        help="where it stands (default: %(default)s)",
    )


def _add_publish(parser: Parser) -> None:
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="the file of make update-bundle")
    _add_rollout(parser)
    parser.add_argument("--url", metavar="URL", help="https folder from which stations fetch it")
    parser.add_argument(
        "--rings", type=_rings, default=(1, 10, 100), metavar="N,N,100", help="percentages (default: 1,10,100)"
    )
    parser.add_argument(
        "--most-failed",
        type=values.whole(),
        default=1,
        metavar="N",
        help="failures that are borne (default: %(default)s)",
    )
    parser.add_argument(
        "--patience-h",
        type=values.number(),
        default=72.0,
        metavar="H",
        help="after so long a station that was told has failed (default: %(default)s)",
    )


def _add_run(parser: Parser) -> None:
    _add_rollout(parser)
    parser.add_argument("--fleet-key", type=Path, metavar="FILE", help="the fleet's private key, PEM")
    parser.add_argument(
        "--journal",
        type=Path,
        default=Path("commands.jsonl"),
        metavar="FILE",
        help="the one of central command (default: %(default)s)",
    )
    parser.add_argument("--broker", default=shared.DEFAULT_BROKER, metavar="URL", help="mqtt(s)://host:port")
    shared.add_broker(parser)


def stop(halted: str, arguments: argparse.Namespace) -> int:
    """Halt it, for this reason, or let it go on."""
    with rollout.locked(arguments.rollout):
        rollout.save(arguments.rollout, replace(rollout.load(arguments.rollout), halted=halted))
    print(f"the roll-out {'is halted: nobody is told any more' if halted else 'goes on'}")
    return 0


def publish(arguments: argparse.Namespace) -> int:
    """Begin it."""
    bundle: Path | None = arguments.bundle
    if bundle is None or arguments.url is None:
        raise ConfigError("publish what, and from where?", hint="name the bundle, and with --url the folder it lies in")
    found = _NAME.fullmatch(bundle.name)
    if found is None:
        raise ConfigError(f"{bundle.name} is not called like a bundle", hint="leave it the name that it was made with")
    try:
        with bundle.open("rb") as file:
            sha256, size = hashlib.file_digest(file, "sha256").digest(), file.tell()
    except OSError as error:
        raise ConfigError(f"{bundle}: {error.strerror}") from error
    offer = Offer(found[2], f"{arguments.url.rstrip('/')}/{quote(bundle.name, safe='+')}", sha256, size)
    if not is_offer(offer):
        raise ConfigError(
            f"no station would take {offer.url} of {size} bytes",
            hint=f"an https address of plain letters, at most {LARGEST_BYTES >> 30} GiB",
        )
    with rollout.locked(arguments.rollout):
        if arguments.rollout.exists():
            raise ConfigError(f"{arguments.rollout} is there already", hint="each roll-out has a file of its own")
        made = Rollout(
            offer, found[1], arguments.rings, arguments.most_failed, round(arguments.patience_h * 3600)
        )  # fmt: skip
        rollout.save(arguments.rollout, made)
    print(f"{offer.version} for {made.board}: put the bundle at {offer.url}, then central update run")
    return 0


def run_(arguments: argparse.Namespace) -> int:
    """0 when everyone in reach has it, 1 if it was halted or ended before."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    if arguments.fleet_key is None:
        raise ConfigError("who signs?", hint="name the fleet's private key with --fleet-key")
    key = signing_key.load(arguments.fleet_key, "`central command key` makes one", "--fleet-key: ")
    journal = dispatch.Journal(arguments.journal)
    fleet = _Fleet(shared.broker_of(arguments, "central-operator"))
    said = ""
    try:
        fleet.listen(LISTEN_S)
        while not asked:
            with rollout.locked(arguments.rollout):
                turn = rollout.turn(rollout.load(arguments.rollout), fleet.seen, int(time.time()))
                stands, orders, now_ns = turn.rollout, {}, time.time_ns()
                for kiosk in turn.tell[:TOLD_AT_ONCE]:
                    orders[kiosk] = replace(journal.enter(kiosk, Verb.UPDATE, (), now_ns), update=stands.offer)
                    stands = rollout.note_sent(stands, kiosk, orders[kiosk].id.hex(), now_ns // 10**9)
                rollout.save(arguments.rollout, stands)
                for kiosk, command in orders.items():
                    fleet.tell(kiosk, remote.signed(command, kiosk, key, now_ns // 10**9, VALID_S))
            counts = f"told={len(stands.sent)} proved={len(stands.proved)} failed={len(stands.failed)}"
            if (saying := f"rollout ring={turn.ring + 1} {counts} {stands.halted}".strip()) != said:
                said = saying
                _log.info("%s", export.printable(said))
            if stands.halted or turn.done:
                return int(bool(stands.halted) or not stands.proved)
            fleet.listen(TURN_S)
    finally:
        fleet.close()
    return 1


def show(arguments: argparse.Namespace) -> int:
    """How far it is, ring by ring."""
    stands = rollout.load(arguments.rollout)
    print(f"{stands.offer.version} for {stands.board}: {(stands.halted and f'HALTED, {stands.halted}') or 'goes on'}")
    known = set(stands.sent) | set(stands.proved)
    rings = rollout.rings_of(stands, known)
    told, proved, failed = (
        Counter(rings[kiosk] for kiosk in some) for some in (stands.sent, stands.proved, stands.failed)
    )
    for ring, percent in enumerate(stands.rings):
        print(f"ring {ring + 1} ({percent:3} %): told={told[ring]} proved={proved[ring]} failed={failed[ring]}")
    for kiosk, reason in sorted(stands.failed.items()):
        print(f"failed {kiosk}: {export.printable(reason)}")
    waiting = sorted(set(stands.sent) - set(stands.proved) - set(stands.failed))
    print(f"waiting for {len(waiting)}: {' '.join(waiting[:20])}{' …' if len(waiting) > 20 else ''}")
    return 0


class _Fleet:
    """Every station's last status, over one connection. One thread only; paho runs none."""

    def __init__(self, broker: Broker) -> None:
        self.seen: dict[str, Seen] = {}
        self._reason = ""
        self._topic = re.compile(wire.status_topic("([a-z0-9][a-z0-9-]{0,63})"))
        self._broker = broker
        self._client = dispatch.client_of(broker, f"{broker.client_id}-{secrets.token_hex(4)}")
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        dispatch.connect(self._client, broker)

    def tell(self, kiosk: str, message: bytes) -> None:
        """Send an order; not kept for a station that has just left."""
        self._client.publish(remote.commands_topic(kiosk), message, dispatch.QOS)

    def listen(self, seconds: float) -> None:
        """Take what comes.

        Raises:
            LinkError: The connection is gone. The roll-out goes on where it was when it is run again.
        """
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            code = self._client.loop(0.1)
            if self._reason or code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise not_served(self._broker, "does not serve the centre", self._reason or code.name)

    def close(self) -> None:
        """Let go."""
        self._client.disconnect()
        self._client.loop(0)

    def _on_connect(self, client: Client, _user: object, _flags: object, reason: Any, _properties: object) -> None:  # noqa: ANN401  paho's
        if reason.is_failure:
            self._reason = str(reason)
        else:
            client.subscribe(wire.status_topic("+"), dispatch.QOS)

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        """Whatever comes here may have been written by anyone who holds the broker."""
        found = self._topic.fullmatch(message.topic)
        if found is None or len(message.payload) > dispatch.LARGEST_BYTES:
            return
        try:
            status = json.loads(message.payload)
        except (ValueError, RecursionError):
            return
        if not isinstance(status, dict) or (len(self.seen) >= MOST_STATIONS and found[1] not in self.seen):
            return
        before = self.seen.get(found[1])
        if before is not None and "update" not in status:  # a Last Will says no more than that it is away
            self.seen[found[1]] = replace(before, online=rollout.seen_of(status).online)
        else:
            self.seen[found[1]] = rollout.seen_of(status)


def _rings(text: str) -> tuple[int, ...]:
    percents = tuple(int(part) for part in text.split(",") if re.fullmatch("[0-9]{1,3}", part))
    if (
        len(percents) != text.count(",") + 1
        or percents[-1] != 100
        or list(percents) != sorted(set(percents))
        or percents[0] < 1
    ):
        raise argparse.ArgumentTypeError("rings are growing percentages up to 100, as in 1,10,100")
    return percents
