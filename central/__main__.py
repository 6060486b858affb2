"""The command line of the centre: collect · audit · entries · keys · open · openings · simulate · command · pass · trust.

Exit codes: 0 done, 1 something is missing, 2 wrong command line, 10 and above a part that failed (`kiosk.errors`).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import (
    command,
    label,
    options,
    passes,
    sealing,
    simulate,
    trust,
    update,
)
from central.commands import (
    fleet as fleet_commands,
)
from central.intake.collector import Broker, Collector, check_url
from central.ledgers import export
from central.ledgers.choice import open_ledger
from kiosk import __version__
from kiosk.errors import ConfigError, KioskError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from central.intake.amqp_collector import AmqpCollector
    from central.ledgers.ledger import Ledger, Stream

DEFAULT_LEDGER = "ledger.db"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except KioskError as error:
        print(f"central: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _collect(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    broker = replace(
        options.broker_of(arguments, arguments.client_id),
        kiosk=arguments.kiosk or "+",
        group=arguments.group,
        protocol=arguments.protocol,
    )
    ledger = open_ledger(arguments.ledger)
    try:
        _collector(broker, ledger).run(lambda: bool(asked))
    finally:
        ledger.close()
    return 0


def _collector(broker: Broker, ledger: Ledger) -> Collector | AmqpCollector:
    if not broker.url.startswith(("amqp://", "amqps://")):
        check_url(broker.url)
        return Collector(broker, ledger)
    if broker.group is not None or broker.kiosk != "+":
        raise ConfigError("--group and --kiosk are for MQTT", hint="collectors on AMQP share one queue by themselves")
    try:
        from central.intake.amqp_collector import AmqpCollector  # noqa: PLC0415  an extra that MQTT does not need
    except ImportError as error:
        raise ConfigError(f"amqp:// needs pika ({error})", hint="pip install 'kiosk[centre]'") from error
    return AmqpCollector(broker, ledger)


def _audit(arguments: argparse.Namespace) -> int:
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        streams = ledger.streams(arguments.kiosk)
        entries, doubled = ledger.count(arguments.kiosk), ledger.doubled(arguments.kiosk)
    finally:
        ledger.close()
    for stream in streams:
        print(_verdict(stream))
    missing = sum(last - first + 1 for stream in streams for first, last in stream.gaps)
    aside = sum(stream.aside for stream in streams)
    print(f"audit streams={len(streams)} entries={entries} missing={missing} doubled={doubled} set_aside={aside}")
    return 0 if streams and not doubled and all(stream.complete for stream in streams) else 1


def _verdict(stream: Stream) -> str:
    gaps = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in stream.gaps[:10])
    more = "…" if len(stream.gaps) > 10 else ""
    return (
        f"kiosk={stream.kiosk} outbox={stream.outbox} {'complete' if stream.complete else 'INCOMPLETE'} "
        f"through={stream.through} highest={stream.highest} delivered={stream.delivered} gaps={gaps or 'none'}{more} "
        f"repeated={stream.repeated} elsewhere={stream.elsewhere} set_aside={stream.aside}"
    )


def _entries(arguments: argparse.Namespace) -> int:
    if arguments.format == "xlsx" and arguments.out is None:
        raise ConfigError("a spreadsheet is no text for a terminal", hint="name its file with --out")
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        rows = ledger.entries(arguments.kiosk, arguments.since or 0, arguments.until)
        if arguments.out is None:
            export.write(rows, arguments.format, sys.stdout)
            return 0
        if arguments.format == "xlsx":
            count = export.write_xlsx(rows, arguments.out)
        else:
            with options.private_file(arguments.out) as out:
                count = export.write(rows, arguments.format, out)
    finally:
        ledger.close()
    print(f"{count} entries written to {arguments.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="central", description="The centre: collects the kiosks' entries, and proves that none is missing."
    )
    parser.add_argument("--version", action="version", version=f"central {__version__}")
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--ledger",
        default=os.environ.get("KIOSK_LEDGER", DEFAULT_LEDGER),
        metavar="FILE|URL",
        help=f"the ledger, a file or postgresql://… (default: $KIOSK_LEDGER or {DEFAULT_LEDGER})",
    )
    common.add_argument("--kiosk", type=options.kiosk, metavar="ID", help="this station only (default: all)")

    collect = verbs.add_parser(
        "collect", parents=[common], help="take entries from the broker, keep them, send receipts"
    )
    collect.add_argument(
        "--broker",
        default="mqtt://127.0.0.1:1883",
        metavar="URL",
        help="mqtt(s)://host:port, or amqp(s)://host:port of a RabbitMQ, several nodes with commas (default: %(default)s)",
    )
    collect.add_argument(
        "--client-id",
        default="central-collector",
        metavar="NAME",
        help="name of the session at the broker, one a collector (default: %(default)s)",
    )
    collect.add_argument(
        "--group",
        type=options.kiosk,
        metavar="NAME",
        help="share the work with the other collectors of this name, each with a --client-id of its own (MQTT 5)",
    )
    collect.add_argument(
        "--protocol", choices=("auto", "5", "3.1.1"), default="auto", help="MQTT version (default: 5, else 3.1.1)"
    )
    options.add_broker(collect)
    collect.set_defaults(command=_collect)

    audit = verbs.add_parser(
        "audit", parents=[common], help="is every entry of every kiosk there, once? exit code 1 if not"
    )
    audit.set_defaults(command=_audit)

    entries = verbs.add_parser("entries", parents=[common], help="list or export entries")
    entries.add_argument(
        "--since", type=sealing.day_ns, metavar="DAY", help="2026-11-23 or 2026-11-23T08:00+07:00, not before"
    )
    entries.add_argument("--until", type=sealing.day_ns, metavar="DAY", help="the same, before")
    entries.add_argument(
        "--format", choices=("table", "csv", "json", "xlsx"), default="table", help="default: %(default)s"
    )
    entries.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to the terminal")
    entries.set_defaults(command=_entries)

    fleet = verbs.add_parser(
        "simulate", help="a fleet's morning peak over a broker into an empty ledger; exit code 1 if anything is lost"
    )
    fleet.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="default: %(default)s")
    fleet.add_argument(
        "--ledger", required=True, metavar="FILE|URL", help="that `central collect` fills, new and empty"
    )
    fleet.add_argument("--kiosks", type=_count, default=10_000, metavar="N", help="default: %(default)s")
    fleet.add_argument("--entries", type=_count, default=100, metavar="N", help="of each kiosk (default: %(default)s)")
    fleet.add_argument(
        "--seconds", type=float, default=300.0, metavar="S", help="length of the peak (default: %(default)s)"
    )
    fleet.add_argument(
        "--away-share",
        type=float,
        default=0.1,
        metavar="P",
        help="part that loses its network and comes back (default: 0.1)",
    )
    fleet.add_argument("--processes", type=_count, default=4, metavar="N", help="default: %(default)s")
    fleet.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="S",
        help="longest wait for the last receipt (default: %(default)s)",
    )
    fleet.add_argument("--seed", type=int, default=1, metavar="N", help="of the times and names (default: %(default)s)")
    fleet.set_defaults(command=simulate.run)
    fleet_commands.add_verbs(verbs)
    command.add_verbs(verbs)
    update.add_verbs(verbs)
    label.add_verbs(verbs)
    passes.add_verbs(verbs)
    sealing.add_verbs(verbs, common)
    trust.add_verbs(verbs)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
