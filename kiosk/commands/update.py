"""`kiosk update`: fetch at night what the centre has ordered; install it; say how it stands."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk import log
from kiosk.cli import words
from kiosk.cli.words import Action
from kiosk.clock import SystemClock, minute_of_day
from kiosk.commands.options import add_config, add_json
from kiosk.commands.signals import until_signalled
from kiosk.errors import UpdateError
from kiosk.settings import loader
from kiosk.trust import fleet_keys
from kiosk.updates import fetch, install, updating
from kiosk.updates.rules import Mark, State, is_night, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.cli.words import Parser
    from kiosk.config import Config
    from kiosk.envelopes.offer import Offer

_log = logging.getLogger(__name__)
_OVER = frozenset({State.INSTALLED, State.ON_TRIAL, State.PROVED, State.FAILED})


INSTALLING = {
    "inbox": "/var/lib/kiosk/update",
    "data": "/state/rauc",
    "version-file": "/usr/lib/kiosk/version",
    "fleet-key": "/etc/kiosk/fleet.pem",
}
"""Where `kiosk update install` looks. Root does not ask the configuration, which others write."""


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action("fetch", "at night, get what the centre has ordered", fetch_, _add_fetch),
            Action(
                "install", "have the system write what was fetched; its service runs it as root", install_, _add_install
            ),
            Action("status", "how it stands", status, _add_status),
        ),
    )


def _add_fetch(parser: Parser) -> None:
    add_config(parser)
    _add_places(parser)


def _add_install(parser: Parser) -> None:
    parser.add_argument("-c", "--config", help=argparse.SUPPRESS)
    _add_places(parser)


def _add_status(parser: Parser) -> None:
    add_config(parser)
    add_json(parser)
    _add_places(parser)


def _add_places(parser: Parser) -> None:
    """For tests of the whole way, which give each step the same words; nobody else names them."""
    for name, place in INSTALLING.items():
        parser.add_argument(f"--{name}", type=Path, default=Path(place), metavar="PATH", help=argparse.SUPPRESS)


def fetch_(arguments: argparse.Namespace) -> int:
    """0: it was looked."""
    config = loader.load(arguments.config, for_link=False)
    log.start(config.log.level)
    tend(config, until_signalled())
    return 0


def install_(arguments: argparse.Namespace) -> int:
    """0 if a new version waits for its trial, 1 if nothing is to do."""
    log.start("info")
    places = install.Places(arguments.inbox, arguments.data, arguments.version_file)
    return 0 if install.install(places, fleet_keys.fleet_keys(arguments.fleet_key)) else 1


def status(arguments: argparse.Namespace) -> int:
    """0: it was said."""
    config = loader.load(arguments.config, for_link=False)
    report = updating.report(config, fleet_keys.fleet_keys(config.trust.fleet_key_file))
    if arguments.json:
        print(json.dumps(report))
    else:
        print("".join(f"{key:8} {'-' if value in {None, ''} else value}\n" for key, value in report.items()), end="")
    return 0


def tend(config: Config, stop: Callable[[], bool]) -> None:
    """One look at what is ordered, and what follows from it now.

    Raises:
        UpdateError: It could not be fetched; the next look tries again.
    """
    inbox = updating.inbox_of(config.state.dir)
    order = updating.order_in(inbox, fleet_keys.fleet_keys(config.trust.fleet_key_file))
    if order is None or order.update is None:
        return
    running = updating.version_of(config.update.version_file)
    seen = updating.found(running, order, inbox, config.update.dir)
    mark = standing(seen)
    part, bundle = inbox / updating.PART, inbox / updating.BUNDLE
    if mark.state in _OVER:
        part.unlink(missing_ok=True)
        bundle.unlink(missing_ok=True)
        return

    def say(state: State, reason: str = "") -> None:
        updating.write_mark(inbox / updating.FETCH, Mark(mark.id, state, reason))

    if seen.pending:
        say(State.WAITING, "until the trial of another version is over")
        return
    if reason := updating.why_unfit(config.update.version_file, Path("/")):
        say(State.FAILED, reason)
        return
    if not _is_night(config):
        known = minute_of_day(SystemClock(config.state.runtime_dir).now(), config.clock.zone) is not None
        say(State.WAITING, f"until {config.update.window_from if known else 'the clock is set'}")
        return
    say(State.FETCHING)
    try:
        whole = _fetched(config, order.update, stop)
    except UpdateError as error:
        say(State.FETCHING, str(error.args[0])[:200])
        raise
    if not whole:
        say(State.WAITING, "it was broken off and will be resumed")
        return
    say(State.FETCHED)
    _log.info(log.line("update-fetched", version=order.update.version))
    (inbox / updating.READY).touch()


def _fetched(config: Config, offer: Offer, stop: Callable[[], bool]) -> bool:
    """Whether the bundle is whole; a file from before is judged by its hash once more."""
    inbox = updating.inbox_of(config.state.dir)
    part, bundle = inbox / updating.PART, inbox / updating.BUNDLE
    if bundle.exists():
        if bundle.stat().st_size == offer.size_bytes and fetch.sha256_of(bundle) == offer.sha256:
            return True
        bundle.unlink()
    source = inbox / "bundle.sha256"  # a part of another bundle is none of this one
    if not part.exists() or updating.small_file(source) != offer.sha256:
        part.unlink(missing_ok=True)
        source.write_bytes(offer.sha256)
        part.touch()
    return fetch.fetch(offer, part, bundle, config, lambda: not stop() and _is_night(config))


def _is_night(config: Config) -> bool:
    """Whether it is in the window; never, while nobody has told the time."""
    minute = minute_of_day(SystemClock(config.state.runtime_dir).now(), config.clock.zone)
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (config.update.window_from, config.update.window_to))
    return minute is not None and is_night(minute, start, end)
