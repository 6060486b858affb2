"""`central command`: tell one station to do something, and see whether it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options
from central.fleet import dispatch
from central.keys import signing_key
from central.ledgers import export
from kiosk.envelopes.remote import Verb
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    import argparse

SENT_BY_HAND = tuple(verb for verb in Verb if verb is not Verb.UPDATE)
"""Updates go out in rings: `central update`."""


def run(arguments: argparse.Namespace) -> int:
    """Send it; 0 if the station has done it, 1 if not."""
    if arguments.what == "key":
        public = arguments.fleet_key.with_name(f"{arguments.fleet_key.name}.pub")
        signing_key.make(arguments.fleet_key, public, "--fleet-key: ")
        print(f"the fleet's key is in {arguments.fleet_key}; stations get {public}, as trust.fleet_key_file")
        return 0
    if arguments.kiosk is None:
        raise ConfigError("which station?", hint="name it with --kiosk; there is no command to all of them")
    order = dispatch.Order(
        kiosk=arguments.kiosk,
        verb=Verb(arguments.what),
        numbers=dispatch.numbers_of(Verb(arguments.what), arguments.values),
        valid_s=arguments.valid_s,
        timeout_s=arguments.timeout_s,
    )
    key = signing_key.load(arguments.fleet_key, "`central command key` makes one", "--fleet-key: ")
    outcome = dispatch.send(
        options.broker_of(arguments, "central-command"), key, dispatch.Journal(arguments.journal), order
    )
    print(
        f"command kiosk={order.kiosk} verb={order.verb} state={outcome.state} {export.printable(outcome.detail)}".strip()
    )
    if outcome.letter is not None:
        text = json.dumps(outcome.letter, indent=1)  # ASCII only: nothing in it can move a terminal's cursor
        if arguments.out is None:
            print(text)
        else:
            with options.private_file(arguments.out) as out:
                out.write(text + "\n")
    return 0 if outcome.well else 1


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The verb's words."""
    command = verbs.add_parser("command", help="tell one station to do something, signed with the fleet's key")
    command.add_argument("what", choices=[*SENT_BY_HAND, "key"], help="what to do; key = make the fleet's key")
    command.add_argument(
        "values", nargs="*", metavar="VALUE", help="volume: 0 to 100 or `configured`; resend: FROM..TO"
    )
    command.add_argument("--kiosk", type=options.kiosk, metavar="ID", help="the station")
    command.add_argument("--fleet-key", type=Path, required=True, metavar="FILE", help="the fleet's private key, PEM")
    command.add_argument(
        "--journal",
        type=Path,
        default=Path("commands.jsonl"),
        metavar="FILE",
        help="every command that was signed, and the counters against replay (default: %(default)s)",
    )
    command.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="mqtt(s)://host:port")
    command.add_argument(
        "--timeout-s", type=float, default=30.0, metavar="S", help="longest wait for the station (default: 30)"
    )
    command.add_argument(
        "--valid-s", type=int, default=300, metavar="S", help="how long the command holds (default: 300)"
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write the diagnostics here")
    options.add_broker(command)
    command.set_defaults(command=run)
