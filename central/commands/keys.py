"""`central keys`: the authority's keys, by which persons are sealed: make, publish, list, destroy."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.fleet import retained
from central.keys.keystore import RECIPIENT, KeyStore
from central.ledgers.choice import open_ledger
from kiosk import forms
from kiosk.cli import values, words
from kiosk.cli.words import Action
from kiosk.delivery import wire
from kiosk.envelopes.seal import CLASSIC, SUITES
from kiosk.errors import ConfigError
from kiosk.trust import authority_keys

if TYPE_CHECKING:
    from kiosk.cli.words import Parser

_FLASH = (
    "overwritten and removed; cards and SSDs may keep old copies of a file, and so do backups: "
    "keep this folder on an encrypted disk, and have no backup outlive a key"
)


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action("make", "make a key for each of the coming days; days that have one keep it", make, _add_make),
            Action("publish", "sign the list of the public halves, and leave it at the broker", publish, _add_publish),
            Action("list", "the private keys that are here", show, _add_list),
            Action("destroy", "destroy the keys whose time of retention is over", destroy, _add_destroy),
        ),
    )


def _add_make(parser: Parser) -> None:
    shared.add_keys(parser)
    parser.add_argument("--days", type=values.whole(), default=60, metavar="N", help="so many (default: %(default)s)")
    parser.add_argument("--first", type=values.day, metavar="DAY", help="from this day on (default: today)")
    parser.add_argument("--suite", choices=tuple(SUITES), default=CLASSIC, help="how is sealed (default: %(default)s)")
    parser.add_argument(
        "--recipient", type=_word, default=RECIPIENT, metavar="NAME", help="who opens (default: %(default)s)"
    )
    shared.add_zone(parser)
    parser.add_argument("--utc-offset", dest="zone", type=shared.zone, metavar="+HH:MM", help=argparse.SUPPRESS)


def _add_publish(parser: Parser) -> None:
    shared.add_keys(parser)
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="public.json of a further recipient",
    )
    parser.add_argument("--broker", metavar="URL", help="leave the list here for the stations, mqtt(s)://host:port")
    parser.add_argument(
        "--kiosk",
        type=shared.kiosk,
        action="append",
        metavar="ID",
        help="for this station; may be repeated (default: all in the ledger)",
    )
    shared.add_ledger(parser, "whose stations")
    shared.add_broker(parser)
    shared.add_zone(parser)


def _add_list(parser: Parser) -> None:
    shared.add_keys(parser)
    shared.add_zone(parser)


def _add_destroy(parser: Parser) -> None:
    shared.add_keys(parser)
    parser.add_argument("--before", type=values.day, metavar="DAY", help="keys of the days before this one")


def make(arguments: argparse.Namespace) -> int:
    """Make the keys of the coming days."""
    first = arguments.first or datetime.now(arguments.zone).date()
    store = KeyStore(arguments.keys)
    count = store.make(
        first,
        arguments.days,
        suite=arguments.suite,
        recipient=arguments.recipient,
        zone=arguments.zone,
    )
    last = first + timedelta(days=arguments.days - 1)
    print(
        f"{count} keys made, {arguments.days - count} were there: {first} to {last}, {arguments.suite}, in {store.folder}"
    )
    return 0


def publish(arguments: argparse.Namespace) -> int:
    """Sign the list of public keys; leave it at the broker for the stations, if one is named."""
    store = KeyStore(arguments.keys)
    kiosks = _kiosks(arguments) if arguments.broker else []
    message = store.publish(arguments.also, zone=arguments.zone)
    listed = authority_keys.read(message, authority_keys.authority_key(store.authority_path))
    print(
        f"{len(listed.keys)} keys until {shared.minute_at(listed.until_s, arguments.zone)} listed in {store.list_path}, signed for {store.authority_path}"
    )
    if arguments.broker:
        broker = shared.broker_of(arguments, "central-keys")
        count = retained.leave(broker, [(wire.keys_topic(kiosk), message) for kiosk in kiosks])
        print(f"left for {count} stations at {arguments.broker}")
    return 0


def _kiosks(arguments: argparse.Namespace) -> list[str]:
    """Those that were named, or all that the ledger knows."""
    if arguments.kiosk:
        return list(arguments.kiosk)
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        kiosks = sorted({stream.kiosk for stream in ledger.streams() if forms.is_id(stream.kiosk)})
    finally:
        ledger.close()
    if not kiosks:
        raise ConfigError("the ledger knows no station yet", hint="name them with --kiosk")
    return kiosks


def show(arguments: argparse.Namespace) -> int:
    """List the private keys that are there."""
    store = KeyStore(arguments.keys)
    listed: set[str] = set()
    if store.list_path.exists():
        keys = authority_keys.load(store.list_path, authority_keys.authority_key(store.authority_path))
        listed = {key.key.id for key in keys.keys}
    stored = store.stored()
    for one in stored:
        key = one.listed
        holds = " to ".join(shared.minute_at(second, arguments.zone) for second in (key.from_s, key.until_s))
        published = "  published" if key.key.id in listed else ""
        print(f"{one.day}  {key.key.id}  {key.key.suite:15}  {key.recipient:12}  {holds}{published}")
    print(f"keys here={len(stored)} published={len(listed)}")
    return 0


def destroy(arguments: argparse.Namespace) -> int:
    """Destroy the private keys whose time of retention is over."""
    if arguments.before is None:
        raise ConfigError("which keys?", hint="name the first day whose key stays with --before")
    destroyed = KeyStore(arguments.keys).destroy(arguments.before)
    for one in destroyed:
        print(f"{one.day}  {one.key.public.id}  destroyed")
    print(f"keys destroyed={len(destroyed)}" + (f": {_FLASH}" if destroyed else ""))
    return 0


def _word(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
        raise argparse.ArgumentTypeError("a name has lower-case letters, digits and hyphens")
    return text
