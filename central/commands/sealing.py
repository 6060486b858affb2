"""The centre's commands around sealing: `central keys make|publish|list|destroy`, `central open`, `central openings`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from central.commands import options
from central.fleet import retained
from central.keys import opening
from central.keys.keystore import RECIPIENT, KeyStore
from central.ledgers import export
from central.ledgers.choice import open_ledger
from kiosk.delivery import wire
from kiosk.envelopes.seal import CLASSIC, SUITES
from kiosk.errors import ConfigError, SealError
from kiosk.trust import authority_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.ledgers.ledger import Row

_FLASH = (
    "overwritten and removed; cards and SSDs may keep old copies of a file, and so do backups: "
    "keep this folder on an encrypted disk, and have no backup outlive a key"
)


def keys(arguments: argparse.Namespace) -> int:
    """One of `make`, `publish`, `list` and `destroy`."""
    if arguments.what == "destroy" and arguments.before is None:
        raise ConfigError("which keys?", hint="name the first day whose key stays with --before")
    return {"make": make, "publish": publish, "list": show, "destroy": destroy}[arguments.what](arguments)


def make(arguments: argparse.Namespace) -> int:
    """Make the keys of the coming days."""
    first = arguments.first or datetime.now(timezone(arguments.utc_offset)).date()
    store = KeyStore(arguments.keys)
    count = store.make(
        first,
        arguments.days,
        suite=arguments.suite,
        recipient=arguments.recipient,
        utc_offset=arguments.utc_offset,
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
    message = store.publish(arguments.also)
    listed = authority_keys.read(message, authority_keys.authority_key(store.authority_path))
    print(
        f"{len(listed.keys)} keys until {_at(listed.until_s)} listed in {store.list_path}, signed for {store.authority_path}"
    )
    if arguments.broker:
        broker = options.broker_of(arguments, "central-keys")
        count = retained.leave(broker, [(wire.keys_topic(kiosk), message) for kiosk in kiosks])
        print(f"left for {count} stations at {arguments.broker}")
    return 0


def _kiosks(arguments: argparse.Namespace) -> list[str]:
    """Those that were named, or all that the ledger knows."""
    if arguments.kiosk:
        return list(arguments.kiosk)
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        kiosks = sorted({stream.kiosk for stream in ledger.streams()})
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
        words = (
            f"{one.day}  {key.key.id}  {key.key.suite:15}  {key.recipient:12}  {_at(key.from_s)} to {_at(key.until_s)}"
        )
        print(words + ("  published" if key.key.id in listed else ""))
    print(f"keys here={len(stored)} published={len(listed)}")
    return 0


def destroy(arguments: argparse.Namespace) -> int:
    """Destroy the private keys whose time of retention is over."""
    destroyed = KeyStore(arguments.keys).destroy(arguments.before)
    for one in destroyed:
        print(f"{one.day}  {one.key.public.id}  destroyed")
    print(f"keys destroyed={len(destroyed)}" + (f": {_FLASH}" if destroyed else ""))
    return 0


def open_(arguments: argparse.Namespace) -> int:
    """Open persons, for a reason, after a line in the audit."""
    keys = {one.key.public.id: one.key for one in KeyStore(arguments.keys).stored()}
    if not keys:
        raise SealError(
            f"there is no private key in {arguments.keys}", hint="name the folder of `central keys` with --keys"
        )
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        scope = " ".join(
            f"{name}={value}"
            for name in ("kiosk", "since", "until", "entry")
            if (value := getattr(arguments, name)) is not None
        )
        opening.note(ledger, arguments.reason, scope or "all")
        with nullcontext(sys.stdout) if arguments.out is None else options.private_file(arguments.out) as out:
            rows: Iterable[Row] = ledger.entries(arguments.kiosk, arguments.since or 0, arguments.until)
            if arguments.entry is not None:
                rows = (row for row in rows if row.entry.id == arguments.entry)
            opener = opening.Opener(keys)
            export.write(opener.open(rows), arguments.format, out)
    finally:
        ledger.close()
    count = opener.count
    print(
        f"open opened={count.opened} without_key={count.without_key} damaged={count.damaged} never_sealed={count.open}",
        file=sys.stderr,
    )
    return 0 if not count.damaged else 1


def openings(arguments: argparse.Namespace) -> int:
    """Who opened what, when and why."""
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        for one in ledger.openings():
            print(
                "  ".join(export.printable(text) for text in (_at(one.at_ns // 10**9), one.who, one.scope, one.reason))
            )
    finally:
        ledger.close()
    return 0


def add_verbs(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    """The commands on the command line.

    Args:
        verbs: Where.
        common: The ledger's options.
    """
    key = verbs.add_parser(
        "keys", help="the authority's keys, by which persons are sealed: make, publish, list, destroy"
    )
    key.add_argument("what", choices=("make", "publish", "list", "destroy"), help="publish = sign the public halves")
    _add_folder(key, "the recipient's folder")
    key.add_argument("--days", type=int, default=60, metavar="N", help="make: so many days (default: %(default)s)")
    key.add_argument("--first", type=_date, metavar="DAY", help="make: from this day on (default: today)")
    key.add_argument(
        "--suite", choices=tuple(SUITES), default=CLASSIC, help="make: how is sealed (default: %(default)s)"
    )
    key.add_argument(
        "--recipient", type=_word, default=RECIPIENT, metavar="NAME", help="make: who opens (default: %(default)s)"
    )
    key.add_argument(
        "--utc-offset",
        type=_offset,
        default=timedelta(0),
        metavar="+HH:MM",
        help="make: where midnight is (default: UTC)",
    )
    key.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="publish: public.json of a further recipient",
    )
    key.add_argument("--before", type=_date, metavar="DAY", help="destroy: keys of the days before this one")
    key.add_argument(
        "--broker", metavar="URL", help="publish: leave the list here for the stations, mqtt(s)://host:port"
    )
    key.add_argument(
        "--kiosk",
        type=options.kiosk,
        action="append",
        metavar="ID",
        help="publish: for this station; may be repeated (default: all in the ledger)",
    )
    key.add_argument(
        "--ledger",
        default=os.environ.get("KIOSK_LEDGER", "ledger.db"),
        metavar="FILE|URL",
        help="publish: whose stations",
    )
    options.add_broker(key)
    key.set_defaults(command=keys)

    opener = verbs.add_parser(
        "open", parents=[common], help="open sealed persons with a private key, for a reason that is kept"
    )
    _add_folder(opener, "the folder of private keys")
    opener.add_argument("--reason", required=True, metavar="TEXT", help="why; it stays in the ledger")
    opener.add_argument("--entry", type=UUID, metavar="ID", help="this entry only")
    opener.add_argument("--since", type=day_ns, metavar="DAY", help="2026-11-23 or 2026-11-23T08:00+07:00, not before")
    opener.add_argument("--until", type=day_ns, metavar="DAY", help="the same, before")
    opener.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: %(default)s")
    opener.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to the terminal")
    opener.set_defaults(command=open_)

    audit = verbs.add_parser("openings", parents=[common], help="who opened persons, when, which and why")
    audit.set_defaults(command=openings)


def _add_folder(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--keys", type=Path, default=Path("authority"), metavar="FOLDER", help=f"{what} (default: %(default)s)"
    )


def day_ns(text: str) -> int:
    """Unix time in nanoseconds; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _offset(text: str) -> timedelta:
    match = re.fullmatch(r"([+-])(\d{2}):([0-5]\d)", text)
    if match is None or int(match[2]) > 14:
        raise argparse.ArgumentTypeError("write the offset as +07:00")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -offset if match[1] == "-" else offset


def _word(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
        raise argparse.ArgumentTypeError("a name has lower-case letters, digits and hyphens")
    return text


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")
