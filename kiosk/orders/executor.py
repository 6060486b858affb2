"""Does what the centre commands: takes a command once, says in the status what became of it.

    judge → counter on the disk → do → status

The counter is flushed before the command is done. A power cut in between loses the command, and the centre, which hears no
"done", sends another; the other order would do it twice. What the network process cannot do itself it asks of the scan
processes (`kiosk.orders.errand`) or of the service manager (`REBOOT_FILE`), and waits for their answer, no longer than `ANSWER_S`.

A refused message changes a number and a word in the status, and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from kiosk.disk import durable
from kiosk.envelopes import remote
from kiosk.envelopes.remote import Command, Reason, Refusal, Verb
from kiosk.errors import ConfigError, OutboxError, RestartRequestedError
from kiosk.log import line
from kiosk.orders import diagnostics, errand
from kiosk.orders.errand import Errand
from kiosk.orders.taken import Taken, started
from kiosk.settings import loader
from kiosk.updates import updating

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.clock import Clock
    from kiosk.config import Config
    from kiosk.outbox import Outbox

_log = logging.getLogger(__name__)

ANSWER_S = 15.0
REBOOT_FILE = "reboot-requested"
"""In `state.runtime_dir`, which is memory: the service manager restarts the machine when it appears, and it is gone then."""
_KEPT = "commands.json"
DIGEST_BYTES = 8


class Executor:
    """The station's obedience. One thread only."""

    def __init__(
        self,
        config: Config,
        keys: Mapping[bytes, Ed25519PublicKey],
        outbox: Outbox,
        clock: Clock,
        config_file: Path | None = None,
    ) -> None:
        """Remember what was taken before.

        Args:
            config: The station's settings.
            keys: The fleet's, by their ids; with none, nothing is obeyed.
            outbox: Its outbox.
            clock: Its clocks.
            config_file: Where the settings were read from; None if they cannot be read anew.
        """
        self._config = config
        self._keys = keys
        self._outbox = outbox
        self._clock = clock
        self._config_file = config_file
        self._taken = Taken(config.state.dir / "identity" / _KEPT)
        self._refused: Counter[Reason] = Counter()
        self._last_refused: dict[str, str] | None = None
        self._waits_until_ns = 0
        self._letters: list[bytes] = []
        self._conclude()

    @property
    def counter(self) -> int:
        """That of the last command that was taken; 0 before the first."""
        return self._taken.counter

    def take(self, message: bytes) -> None:
        """Judge a message, and do or begin what it asks for."""
        verdict = remote.judge(message, self._keys, self._config.kiosk.id, self.counter, self._clock.now())
        if isinstance(verdict, Command) and not self._taken.keep(started(verdict, self._clock.now().boot_id)):
            verdict = Refusal(Reason.NOT_KEPT)
        if isinstance(verdict, Refusal):
            digest = hashlib.sha256(message).digest()[:DIGEST_BYTES].hex()
            self._refused[verdict.reason] += 1
            self._last_refused = {"reason": verdict.reason.value, "digest": digest}
            _log.warning(line("command-refused", reason=verdict.reason.value, digest=digest))
            return
        _log.info(line("command", verb=verdict.verb.value, id=verdict.id.hex(), counter=verdict.counter))
        try:
            self._do(verdict, message)
        except (OutboxError, OSError) as error:
            self._end(f"{type(error).__name__}: {getattr(error, 'strerror', None) or 'see the log'}")
            _log.warning(line("command-failed", verb=verdict.verb.value, reason=error))

    def tend(self) -> None:
        """See whether the lanes have answered.

        Raises:
            RestartRequestedError: The configuration is to be read anew, which a new process does.
        """
        last = self._taken.last
        if last is None or last.state != "started" or not self._waits_until_ns:
            return
        answers = {
            lane.name: errand.answer_of(self._config.state.runtime_dir, lane.name, last.id)
            for lane in self._config.lanes
        }
        if None in answers.values() and self._clock.boot_ns() < self._waits_until_ns:
            return
        faults = [
            f"{lane}: {'no answer' if fault is None else fault}" for lane, fault in answers.items() if fault != ""
        ]
        self._waits_until_ns = 0
        if last.verb == Verb.RELOAD and not faults:
            raise RestartRequestedError  # said to be done by the new process
        self._end("; ".join(faults))
        if last.verb == Verb.RELOAD:
            raise RestartRequestedError

    def letters(self) -> list[bytes]:
        """Diagnostics that wait to be sent; each is given once."""
        letters, self._letters = self._letters, []
        return letters

    def report(self) -> dict[str, Any] | None:
        """What the status says of it; None for a station that obeys nobody."""
        if not self._keys:
            return None
        last = None
        if self._taken.last is not None:
            last = {key: value for key, value in asdict(self._taken.last).items() if key != "boot_id"}
        return {
            "counter": self.counter,
            "last": last,
            "refused": {reason.value: count for reason, count in self._refused.items()},
            "last_refused": self._last_refused,
        }

    def _do(self, command: Command, message: bytes) -> None:
        match command.verb:
            case Verb.UPDATE:
                updating.keep_order(self._config.state.dir, message)
                self._end("", f"from {self._config.update.window_from} on")
            case Verb.RESEND:
                sent = self._outbox.resend(command.numbers[0], command.numbers[1])
                self._end("", f"{sent.start}..{sent[-1]}" if sent else "nothing of that is settled and held")
            case Verb.DIAGNOSTICS:
                update = updating.report(self._config, self._keys)
                now = self._clock.now()
                self._letters = [diagnostics.collect(self._config, self._outbox, now, command.id.hex(), update)]
                self._end("", f"{len(self._letters[0])} bytes")
            case Verb.REBOOT:
                self._config.state.runtime_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
                durable.replace(self._config.state.runtime_dir / REBOOT_FILE, command.id.hex().encode(), 0o640)
            case Verb.RELOAD:
                self._reload(command)
            case Verb.VOLUME:
                errand.set_volume(self._config.state.dir, next(iter(command.numbers), None))
                self._ask(command)
            case _:
                self._ask(command)

    def _reload(self, command: Command) -> None:
        """A configuration that is wrong is not read anew: the station goes on with what it has."""
        if self._config_file is None:
            self._end("there is no configuration file")
            return
        try:
            loader.load(self._config_file)
        except ConfigError as error:
            _log.warning(line("configuration-wrong", reason=error))
            self._end("the configuration is wrong: see `kiosk check`")
            return
        self._ask(command)

    def _ask(self, command: Command) -> None:
        now_boot_ns = self._clock.boot_ns()
        self._waits_until_ns = now_boot_ns + round(ANSWER_S * 1e9)
        errand.ask(self._config.state.runtime_dir, Errand(command.id.hex(), command.verb), now_boot_ns)

    def _end(self, fault: str, detail: str = "") -> None:
        if self._taken.last is not None:
            ended = replace(self._taken.last, state="failed" if fault else "done", detail=(fault or detail)[:200])
            self._taken.keep(ended)

    def _conclude(self) -> None:
        """A process that has just started, or a machine that has, is the answer to what the last one began."""
        last = self._taken.last
        if last is None or last.state != "started":
            return
        if last.verb == Verb.RELOAD:
            self._end("")
        elif last.boot_id != self._clock.now().boot_id:
            self._end("" if last.verb == Verb.REBOOT else "the station was restarted meanwhile")
        elif last.verb != Verb.REBOOT:
            self._end("the uplink was restarted meanwhile")
