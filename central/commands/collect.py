"""`central collect`: take entries from the broker, keep them, send receipts."""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.intake.collector import Broker, Collector, check_url
from central.ledgers.choice import open_ledger
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from central.intake.amqp_collector import AmqpCollector


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    parser.add_argument(
        "--broker",
        default=shared.DEFAULT_BROKER,
        metavar="URL",
        help="mqtt(s)://host:port, or amqp(s)://host:port of a RabbitMQ, several nodes with commas (default: %(default)s)",
    )
    parser.add_argument(
        "--client-id",
        default="central-collector",
        metavar="NAME",
        help="name of the session at the broker, one a collector (default: %(default)s)",
    )
    parser.add_argument(
        "--group",
        type=shared.kiosk,
        metavar="NAME",
        help="share the work with the other collectors of this name and ledger, each with a --client-id of its own (MQTT 5)",
    )
    parser.add_argument(
        "--protocol", choices=("auto", "5", "3.1.1"), default="auto", help="MQTT version (default: 5, else 3.1.1)"
    )
    shared.add_broker(parser)


def run(arguments: argparse.Namespace) -> int:
    """Collect until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    broker = replace(
        shared.broker_of(arguments, arguments.client_id),
        kiosk=arguments.kiosk or "+",
        group=arguments.group,
        protocol=arguments.protocol,
    )
    make = _maker(broker)  # what is wrong with the address is said before a ledger is begun
    ledger = open_ledger(arguments.ledger)
    try:
        if (
            broker.group is not None
        ):  # a name that a station could guess would let it take a part of the others' entries
            broker = replace(broker, group=f"{broker.group}-{ledger.shared_word('group')}")
        make(broker, ledger).run(lambda: bool(asked))
    finally:
        ledger.close()
    return 0


def _maker(broker: Broker) -> type[Collector | AmqpCollector]:
    if not broker.url.startswith(("amqp://", "amqps://")):
        check_url(broker.url)
        return Collector
    if broker.group is not None or broker.kiosk != "+":
        raise ConfigError("--group and --kiosk are for MQTT", hint="collectors on AMQP share one queue by themselves")
    try:
        from central.intake.amqp_collector import AmqpCollector  # noqa: PLC0415  an extra that MQTT does not need
    except ImportError as error:
        raise ConfigError(f"amqp:// needs pika ({error})", hint="run `make centre` in the checkout") from error
    return AmqpCollector
