"""What the broker brings beside receipts, each to whom it is for: commands to the executor, signed lists to those who keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kiosk.envelopes import remote
from kiosk.orders.executor import Executor
from kiosk.orders.lists import SignedLists
from kiosk.trust import fleet_keys
from kiosk.updates import updating

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.clock import Clock
    from kiosk.config import Config
    from kiosk.delivery.link import Link
    from kiosk.outbox import Outbox


class Inbox:
    """One uplink's. One thread only.

    Attributes:
        topics: What to subscribe to besides the receipts.
    """

    def __init__(self, config: Config, outbox: Outbox, clock: Clock, config_file: Path | None) -> None:
        """Remember what was taken before.

        Args:
            config: The station's settings.
            outbox: Its outbox.
            clock: Its clocks.
            config_file: Where the settings were read from; None if they cannot be read anew.

        Raises:
            ConfigError: The fleet's keys cannot be read.
        """
        self._config = config
        self._keys = fleet_keys.fleet_keys(config.trust.fleet_key_file)
        self._executor = Executor(config, self._keys, outbox, clock, config_file)
        self._lists = SignedLists(config, self._keys)
        self.topics = (*self._lists.topics, *((remote.commands_topic(config.kiosk.id),) if self._keys else ()))

    @property
    def trust_issued_s(self) -> int | None:
        """When the trust list was issued that is here; None if there is none."""
        return self._lists.trust_issued_s

    def commands(self) -> dict[str, Any] | None:
        """What became of the centre's commands, for the status; None for a station that obeys nobody."""
        return self._executor.report()

    def update(self) -> dict[str, Any] | None:
        """How an update stands, for the status."""
        return updating.report(self._config, self._keys)

    def take(self, topic: str, payload: bytes) -> str | None:
        """Give a message to whom it is for.

        Args:
            topic: Where the message came.
            payload: The message.

        Returns:
            A further topic to subscribe to, empty if there is none; None if the message is for nobody here.
        """
        if self._lists.are_at(topic):
            return self._lists.take(topic, payload) or ""
        if topic in self.topics:
            self._executor.take(payload)
            return ""
        return None

    def tend(self) -> None:
        """See whether what was commanded is done.

        Raises:
            RestartRequestedError: The configuration is to be read anew.
        """
        self._executor.tend()

    def answer(self, link: Link) -> None:
        """Send what was asked for."""
        for letter in self._executor.letters():
            link.publish(remote.diagnostics_topic(self._config.kiosk.id), letter)
