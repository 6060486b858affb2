"""`central command`: tell one station to do something, and see whether it does."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.fleet import dispatch
from central.keys import signing_key
from central.ledgers import export
from kiosk.cli import values, words
from kiosk.cli.words import Action
from kiosk.envelopes.remote import Verb
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from kiosk.cli.words import Parser

_DOES = {
    Verb.IDENTIFY: "let it show itself, by light and sound",
    Verb.SELF_TEST: "let it try its parts, by light and sound",
    Verb.VOLUME: "set how loud it is",
    Verb.RESEND: "let it send settled entries once more; repeats are harmless",
    Verb.RELOAD: "let it read its configuration anew",
    Verb.REBOOT: "start it anew",
    Verb.DIAGNOSTICS: "ask for its status, what waits, and the last lines of its log",
}
"""All but updates, which go out in rings: `central update`."""
_VALUES = {Verb.VOLUME: "0 to 100, or `configured`", Verb.RESEND: "FROM..TO, as in 120..180"}


def options(parser: Parser) -> None:
    """What it takes."""
    verbs = (Action(verb.value, does, partial(send, verb), partial(_add, verb)) for verb, does in _DOES.items())
    words.actions(parser, (*verbs, Action("key", "make the fleet's key", key, _add_key)))


def _add(verb: Verb, parser: Parser) -> None:
    parser.add_argument("values", nargs="*", metavar="VALUE", help=_VALUES.get(verb, argparse.SUPPRESS))
    parser.add_argument("--kiosk", type=shared.kiosk, metavar="ID", help="the station")
    _add_key(parser)
    parser.add_argument(
        "--journal",
        type=Path,
        default=Path("commands.jsonl"),
        metavar="FILE",
        help="every command that was signed, and the counters against replay (default: %(default)s)",
    )
    parser.add_argument("--broker", default=shared.DEFAULT_BROKER, metavar="URL", help="mqtt(s)://host:port")
    parser.add_argument(
        "--timeout-s",
        type=values.number(),
        default=30.0,
        metavar="S",
        help="longest wait for the station (default: 30)",
    )
    parser.add_argument(
        "--valid-s", type=values.whole(1), default=300, metavar="S", help="how long the command holds (default: 300)"
    )
    if verb is Verb.DIAGNOSTICS:
        parser.add_argument("--out", type=Path, metavar="FILE", help="write the diagnostics here")
    shared.add_broker(parser)


def _add_key(parser: Parser) -> None:
    parser.add_argument("--fleet-key", type=Path, required=True, metavar="FILE", help="the fleet's private key, PEM")


def key(arguments: argparse.Namespace) -> int:
    """Make it."""
    public = arguments.fleet_key.with_name(f"{arguments.fleet_key.name}.pub")
    signing_key.make(arguments.fleet_key, public, "--fleet-key: ")
    print(f"the fleet's key is in {arguments.fleet_key}; stations get {public}, as trust.fleet_key_file")
    return 0


def send(verb: Verb, arguments: argparse.Namespace) -> int:
    """Send it; 0 if the station has done it, 1 if not."""
    if arguments.kiosk is None:
        raise ConfigError("which station?", hint="name it with --kiosk; there is no command to all of them")
    order = dispatch.Order(
        kiosk=arguments.kiosk,
        verb=verb,
        numbers=dispatch.numbers_of(verb, arguments.values),
        valid_s=arguments.valid_s,
        timeout_s=arguments.timeout_s,
    )
    signer = signing_key.load(arguments.fleet_key, "`central command key` makes one", "--fleet-key: ")
    outcome = dispatch.send(
        shared.broker_of(arguments, "central-command"), signer, dispatch.Journal(arguments.journal), order
    )
    print(
        f"command kiosk={order.kiosk} verb={order.verb} state={outcome.state} {export.printable(outcome.detail)}".strip()
    )
    if outcome.letter is not None:
        text = json.dumps(outcome.letter, indent=1)  # ASCII only: nothing in it can move a terminal's cursor
        if getattr(arguments, "out", None) is None:
            print(text)
        else:
            with shared.private_file(arguments.out) as out:
                out.write(text + "\n")
    return 0 if outcome.well else 1
