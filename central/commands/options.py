"""Options that several words of the centre share, and what they name."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from zoneinfo import ZoneInfo

from central.intake.collector import Broker
from central.ledgers import export
from kiosk import forms
from kiosk.cli import values
from kiosk.errors import ConfigError, FleetError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.ledgers.ledger import Row

DEFAULT_LEDGER = "ledger.db"
DEFAULT_FLEET = "fleet"
DEFAULT_BROKER = "mqtt://127.0.0.1:1883"
LEAST_TLS = "1.3"
DEFAULT_ZONE = forms.DEFAULT_ZONE
FIRST_YEAR, LAST_YEAR = 1970, 2200
"""What 64 bits of nanoseconds hold, with some room."""
MIDNIGHT = time()


def broker_of(arguments: argparse.Namespace, client_id: str) -> Broker:
    """Where the broker is, and what the centre shows of itself."""
    return Broker(
        url=arguments.broker,
        client_id=client_id,
        username=arguments.username,
        password_file=arguments.password_file,
        ca_file=arguments.ca_file,
        cert_file=arguments.cert_file,
        key_file=arguments.key_file,
        least_tls=arguments.least_tls,
    )


def add_ledger(parser: argparse._ActionsContainer, what: str = "the ledger, a file or postgresql://…") -> None:
    """Which ledger."""
    parser.add_argument(
        "--ledger",
        default=os.environ.get("KIOSK_LEDGER", DEFAULT_LEDGER),
        metavar="FILE|URL",
        help=f"{what} (default: $KIOSK_LEDGER or {DEFAULT_LEDGER})",
    )


def add_kiosk(parser: argparse._ActionsContainer) -> None:
    """Which station's entries."""
    parser.add_argument("--kiosk", type=kiosk, metavar="ID", help="this station only (default: all)")


def add_keys(parser: argparse._ActionsContainer, what: str = "the recipient's folder") -> None:
    """Where private keys are."""
    parser.add_argument(
        "--keys", type=Path, default=Path("authority"), metavar="FOLDER", help=f"{what} (default: %(default)s)"
    )


def add_zone(parser: argparse._ActionsContainer) -> None:
    """Where the office is, so that its days are days."""
    parser.add_argument(
        "--zone",
        type=zone,
        default=os.environ.get("KIOSK_ZONE", DEFAULT_ZONE),
        metavar="NAME",
        help=f"the office's zone, of every day and time that names none (default: $KIOSK_ZONE or {DEFAULT_ZONE})",
    )


def add_span(parser: argparse._ActionsContainer) -> None:
    """From when to when."""
    parser.add_argument(
        "--since",
        type=values.moment,
        metavar="DAY",
        help="2026-11-23, from its midnight, or 2026-11-23T08:00, in the office's zone (--zone), or as 2026-11-23T08:00+07:00; not before",
    )
    parser.add_argument(
        "--until", type=values.moment, metavar="DAY", help="the same; before, so that the day itself is not in it"
    )
    add_zone(parser)


def add_format(parser: argparse._ActionsContainer) -> None:
    """As what entries are written."""
    parser.add_argument(
        "--format",
        choices=("table", "csv", "excel-csv", "xlsx", "json"),
        default="table",
        help="for people table, xlsx, or excel-csv for a double click in Excel; for programs csv or json (default: %(default)s)",
    )
    parser.add_argument(
        "--separator",
        choices=export.SEPARATORS,
        default=export.SEPARATORS[0],
        help="of excel-csv, as Excel's region has it: ; where decimals have a comma, as in Vietnam (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to the terminal")


def write_entries(rows: Iterable[Row], arguments: argparse.Namespace) -> int:
    """Write entries as `add_format` was told; how many there were.

    Raises:
        LedgerError: The file cannot be written.
    """
    if arguments.out is None:
        return export.write(rows, arguments.format, sys.stdout, arguments.zone)
    if arguments.format == "xlsx":
        return export.write_xlsx(rows, arguments.out, arguments.zone)
    with private_file(arguments.out) as out:
        return export.write(rows, arguments.format, out, arguments.zone, arguments.separator)


def check_format(arguments: argparse.Namespace) -> None:
    """Before anything is read or noted.

    Raises:
        ConfigError: What is for a spreadsheet would go to a terminal.
    """
    if arguments.format in {"xlsx", "excel-csv"} and arguments.out is None:
        raise ConfigError("a spreadsheet is no text for a terminal", hint="name its file with --out")


def add_fleet(parser: argparse._ActionsContainer) -> None:
    """Where the authority and the registry are."""
    parser.add_argument(
        "--fleet",
        type=Path,
        default=Path(os.environ.get("KIOSK_FLEET", DEFAULT_FLEET)),
        metavar="DIR",
        help=f"folder of the authority and the registry (default: $KIOSK_FLEET or {DEFAULT_FLEET})",
    )


def add_broker(parser: argparse._ActionsContainer) -> None:
    """How to prove oneself at the broker."""
    parser.add_argument("--username", metavar="NAME", help="user at the broker")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with the password, one line")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="authority that certifies the broker, PEM (default: the system's)"
    )
    parser.add_argument("--cert-file", type=Path, metavar="FILE", help="the certificate to show it, PEM")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="its key, PEM")
    parser.add_argument(
        "--least-tls",
        choices=("1.3", "1.2"),
        default=LEAST_TLS,
        help="oldest TLS that is spoken (default: %(default)s)",
    )


def zone(text: str) -> tzinfo:
    """A zone by its name, or by its distance from UTC."""
    if (offset := re.fullmatch(r"([+-])(\d{2}):([0-5]\d)", text)) is not None and int(offset[2]) <= 14:
        distance = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-distance if offset[1] == "-" else distance)
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # no such file, a path instead of a name, and the library's own
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time zone; write --zone or KIOSK_ZONE as {DEFAULT_ZONE}, or as +07:00"
        ) from None


def ns_of(moment: datetime, office: tzinfo) -> int:
    """Unix time in nanoseconds; where no zone was written it is the office's.

    Of a time that comes twice, when clocks are put back, the first is taken; a day whose midnight is left out begins when it begins.

    Raises:
        ConfigError: The ledger knows no such time, or it was left out when the clocks there were put forward.
    """
    there = known(moment, office)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ConfigError(
            f"{moment.date()} is not in these times", hint=f"name a year from {FIRST_YEAR} to {LAST_YEAR}"
        )
    back = datetime.fromtimestamp(there.timestamp(), there.tzinfo)
    if back.replace(tzinfo=None) != there.replace(tzinfo=None) and moment.time() != MIDNIGHT:
        raise ConfigError(
            f"{moment:%Y-%m-%d %H:%M} was left out in {office}, where clocks were put forward then",
            hint=f"write {back:%Y-%m-%dT%H:%M}, or the time with its zone",
        )
    return round(there.timestamp() * 1e9)


def known(moment: datetime, office: tzinfo) -> datetime:
    """The moment in a zone: the office's, where none was written."""
    return moment if moment.tzinfo else moment.replace(tzinfo=office)


def since_until(arguments: argparse.Namespace) -> tuple[int, int | None]:
    """What was asked for with `add_span`, Unix time in nanoseconds; 0 and None where it was not.

    Raises:
        ConfigError: Nothing lies between them, or one is no time.
    """
    since, until = (
        None if each is None else ns_of(each, arguments.zone) for each in (arguments.since, arguments.until)
    )
    if since is not None and until is not None and until <= since:
        following = arguments.since.date() + timedelta(days=1)
        raise ConfigError(
            f"--until {_typed(arguments.until)} is not after --since {_typed(arguments.since)}, and is itself not among what is shown",
            hint=f"for the whole of {arguments.since.date()}: --since {arguments.since.date()} --until {following}",
        )
    return since or 0, until


def _typed(moment: datetime) -> str:
    return f"{moment.date()}" if moment.time() == MIDNIGHT else moment.isoformat(timespec="minutes")


def minute_at(second: int, office: tzinfo) -> str:
    """A time for people, in the office's zone: `2026-11-23 08:00`."""
    return f"{datetime.fromtimestamp(second, office):%Y-%m-%d %H:%M}"


def day_at(second: int, office: tzinfo) -> str:
    """A day for people, in the office's zone: `2026-11-23`."""
    return f"{datetime.fromtimestamp(second, office):%Y-%m-%d}"


def registry_in(folder: Path) -> Path:
    """The registry's file in the fleet's folder.

    Raises:
        FleetError: There is none.
    """
    path = folder / "fleet.db"
    if not path.exists():
        raise FleetError(f"{path} does not exist", hint="name the fleet's folder with --fleet, or `central ca init`")
    return path


def host_port(text: str) -> str:
    """HOST:PORT."""
    if fault := forms.fault_of_address(text):
        raise argparse.ArgumentTypeError(f"{text!r}: {'; '.join(fault)}")
    return text


def kiosk(text: str) -> str:
    """A station's id."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", text):
        raise argparse.ArgumentTypeError("a kiosk's id has lower-case letters, digits and hyphens")
    return text


def private_file(path: Path) -> TextIO:
    """A new file that only its owner may read: it holds names."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="")
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror}", hint="name another file with --out") from error
