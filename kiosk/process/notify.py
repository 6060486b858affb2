"""Signs of life between a process and whoever supervises it: systemd's datagram protocol, spoken and heard.

A supervisor takes finished work for life and silence for a hang: a frame decoded, a turn of the uplink's loop. A timer
or a thread that only proves breathing must never call `alive`. Under systemd the supervisor is systemd; under `kiosk run`,
and where one unit has several lanes, it is `kiosk.process.supervise`, which hears the same words.

Sources:
    [1] sd_notify(3): one datagram of KEY=VALUE lines to the socket that $NOTIFY_SOCKET names; "@" stands for the abstract
        namespace. A supervisor that has gone away is no error.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress

from kiosk.log import line

_log = logging.getLogger(__name__)

ALIVE_EVERY_S = 0.1
LONGEST_STATUS = 200
LARGEST_BYTES = 4096


class Notifier:
    """Tells the supervisor, if there is one, how this process gets on. One thread only."""

    def __init__(self, address: str | None = None) -> None:
        """Find the supervisor.

        Args:
            address: Its socket; None for the one that the environment names.
        """
        self._address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._next_alive_s = 0.0
        self._status = ""
        self._is_ready = False

    def ready(self, status: str) -> None:
        """The first work is done; later calls change the status only."""
        if not self._is_ready:
            self._is_ready = True
            self._send("READY=1")
        self.status(status)

    def alive(self) -> None:
        """Some work is finished; told at most ten times a second."""
        now_s = time.monotonic()
        if now_s >= self._next_alive_s:
            self._next_alive_s = now_s + ALIVE_EVERY_S
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for a person; told when it changes."""
        text = " ".join(text.split())[:LONGEST_STATUS]
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """The end has been asked for and has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out, suppress(OSError):
            out.sendto(message.encode("utf-8"), _socket_name(self._address))


class Listener:
    """Hears one process. Closed by whoever opened it.

    Attributes:
        address: What the process finds in $NOTIFY_SOCKET.
        is_ready: Whether it has said that it is ready.
        is_watched: Whether it has given a sign of life; from then on its silence means something.
        heard_s: Monotonic time of its last sign of life; that of the start before the first.
    """

    def __init__(self, now_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("")  # the kernel chooses a name that is free and dies with the socket
        self.address = "@" + self._socket.getsockname()[1:].decode("ascii")
        self.is_ready = False
        self.is_watched = False
        self.heard_s = now_s

    def listen(self, now_s: float) -> None:
        """Take what has come."""
        while True:
            try:
                words = self._socket.recv(LARGEST_BYTES).split(b"\n")
            except BlockingIOError:
                return
            except OSError as error:
                _log.warning(line("not-heard", reason=error))
                return
            if b"READY=1" in words or b"WATCHDOG=1" in words:
                self.heard_s = now_s
            self.is_ready |= b"READY=1" in words
            self.is_watched |= b"WATCHDOG=1" in words

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


def _socket_name(address: str) -> str:
    return "\0" + address[1:] if address.startswith("@") else address
