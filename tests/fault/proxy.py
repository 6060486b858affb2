"""A network that misbehaves: a TCP proxy on the loopback that delays, throttles, cuts, swallows or refuses."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from random import Random
from threading import Event, Thread

CHUNK_BYTES = 1400
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Between a client and a server on the loopback. Its attributes may be changed while it works.

    Attributes:
        port: Where it listens.
        delay_s: Each piece is held up by a random time up to this.
        bytes_a_second: How much goes through; 0 for no limit.
        cut_after_bytes: A connection is reset after a random number of bytes up to this; 0 for never.
        swallows: Nothing arrives, and nobody is told.
        refuses: New connections are reset.
        cuts: How many connections were reset in the middle.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._stop = Event()
        self._random = Random(1)
        self.delay_s = 0.0
        self.bytes_a_second = 0
        self.cut_after_bytes = 0
        self.swallows = self.refuses = False
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = int(self._listener.getsockname()[1])
        self._threads = [Thread(target=self._listen, name="proxy")]
        self._threads[0].start()

    def close(self) -> None:
        """End every connection."""
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        self._listener.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.refuses:
                _reset(client)
                continue
            thread = Thread(target=self._carry, args=(client,), name="proxy-connection")
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:  # noqa: C901  a fault a line
        left = self._random.randint(1, self.cut_after_bytes) if self.cut_after_bytes else None
        try:
            server = socket.create_connection(("127.0.0.1", self._to_port), 5)
        except OSError:
            _reset(client)
            return
        for each in (client, server):
            each.settimeout(0.02)
        with client, server, suppress(OSError):
            while not self._stop.is_set():
                for source, target in ((client, server), (server, client)):
                    try:
                        data = source.recv(CHUNK_BYTES)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    if self.swallows:
                        continue
                    time.sleep(self._random.uniform(0, self.delay_s))
                    if self.bytes_a_second:
                        time.sleep(len(data) / self.bytes_a_second)
                    if left is not None:
                        left -= len(data)
                        if left < 0:
                            target.sendall(data[: left + len(data)])
                            self.cuts += 1
                            _reset(client)
                            return
                    target.sendall(data)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()
