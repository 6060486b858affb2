"""One connection to a name, through whichever of its addresses is good.

TCP goes to the first address that takes it (`kiosk.delivery.eyeballs`). One that does not come through TLS then is left for the others, and
one that brought nothing the last time (`Dialer.rate`) comes last.

It happens on a thread of its own (`Dialer.begin`): whoever needs the connection goes on with other work, and can give it up at once.

Units: `_s` seconds.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

from kiosk.delivery.eyeballs import Attempt
from kiosk.delivery.names import Names

if TYPE_CHECKING:
    import socket
    import ssl

    from aiohappyeyeballs import AddrInfoType

    from kiosk.delivery.names import Place

LONGEST_S = 30.0
"""Longest time for one connection, TLS included, unless a shorter one is asked for."""
TLS_S = 10.0
TLS_WITH_OTHERS_S = 4.0
"""Longest time for one TLS handshake; the second while the name has other addresses."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection that stands.

    Attributes:
        socket: Blocking; secured where that was asked for.
        place: The name and the port.
        info: Its address, as getaddrinfo gives it.
    """

    socket: socket.socket
    place: Place
    info: AddrInfoType


class Opening:
    """A connection that is being opened, on a thread of its own. Otherwise one thread at a time."""

    def __init__(self, dialer: Dialer, place: Place, tls: ssl.SSLContext | None, longest_s: float) -> None:
        self._outcome: SimpleQueue[Connection | OSError] = SimpleQueue()
        self._lock = Lock()
        self._is_given_up = False
        Thread(target=self._run, args=(dialer, place, tls, longest_s), name="dial", daemon=True).start()

    def poll(self, timeout_s: float) -> Connection | None:
        """The connection, once; None if it does not stand yet. Waits no longer than this.

        Raises:
            OSError: It does not come about.
        """
        try:
            outcome = self._outcome.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    def give_up(self) -> None:
        """Nobody wants it any more; harmless when repeated."""
        with self._lock:
            self._is_given_up = True
        with suppress(Empty):
            _close(self._outcome.get_nowait())

    def _run(self, dialer: Dialer, place: Place, tls: ssl.SSLContext | None, longest_s: float) -> None:
        outcome: Connection | OSError
        try:
            outcome = dialer.open(*place, tls, longest_s=longest_s)
        except OSError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001  whoever waits hears of every end
            outcome = OSError(f"{type(error).__name__}: {error}")
        with self._lock:
            if not self._is_given_up:
                self._outcome.put(outcome)
                return
        _close(outcome)


class Dialer:
    """Opens connections, and remembers which addresses of a name were good. Any thread."""

    def __init__(self) -> None:
        self._names = Names()
        self._lock = Lock()
        self._good: dict[Place, AddrInfoType] = {}
        self._bad: dict[Place, set[AddrInfoType]] = {}

    def begin(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> Opening:
        """The same as `open`, on a thread of its own."""
        return Opening(self, (host, port), tls, LONGEST_S)

    def open(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, *, longest_s: float = LONGEST_S
    ) -> Connection:
        """Open a connection.

        Args:
            host: A name or an address; in TLS it is the server's name.
            port: The port.
            tls: How the connection is secured; None for a plain one.
            longest_s: When it has failed.

        Raises:
            OSError: It does not come about.
        """
        place, deadline_s = (host, port), time.monotonic() + longest_s
        lookups = self._names.ask(place)
        with self._lock:
            good, bad = self._good.get(place), frozenset(self._bad.get(place, ()))
        failed: set[AddrInfoType] = set()
        reason: OSError | None = None
        try:
            while True:
                attempt = Attempt(lookups, None if good in failed else good, failed | bad)
                try:
                    raw, info = attempt.run(deadline_s)
                except OSError as error:
                    if not bad or time.monotonic() >= deadline_s:
                        raise reason or error from None
                    bad = frozenset()  # nothing else is left: now those that brought nothing the last time
                    continue
                try:
                    limit_s = TLS_WITH_OTHERS_S if attempt.has_others else TLS_S
                    secured = (
                        raw if tls is None else _secured(raw, host, tls, min(limit_s, deadline_s - time.monotonic()))
                    )
                except OSError as error:
                    reason = reason or error
                    failed.add(info)
                    self.rate(Connection(raw, place, info), good=False)
                else:
                    return Connection(secured, place, info)
        finally:
            self._names.forget(lookups)

    def rate(self, connection: Connection, *, good: bool) -> None:
        """Remember whether an address brought what was wanted of it."""
        with self._lock:
            bad = self._bad.setdefault(connection.place, set())
            if good:
                self._good[connection.place] = connection.info
                bad.discard(connection.info)
            else:
                bad.add(connection.info)
                if self._good.get(connection.place) == connection.info:
                    del self._good[connection.place]


HERE = Dialer()
"""What this process knows of addresses."""


class HttpsConnection(HTTPSConnection):
    """http.client's, to whichever address is good."""

    def __init__(self, host: str, port: int | None, tls: ssl.SSLContext, *, step_s: float, longest_s: float) -> None:
        """Prepare it; the first request opens it.

        Args:
            host: A name or an address.
            port: The port; None for 443.
            tls: How it is secured.
            step_s: Longest wait for a piece of an answer.
            longest_s: Longest time for opening it, TLS included.
        """
        super().__init__(host, port, timeout=step_s, context=tls)
        self._tls = tls
        self._longest_s = longest_s

    def connect(self) -> None:
        """Open it."""
        self.sock = HERE.open(self.host, self.port, self._tls, longest_s=self._longest_s).socket
        self.sock.settimeout(self.timeout)


def _secured(raw: socket.socket, host: str, tls: ssl.SSLContext, limit_s: float) -> socket.socket:
    """The connection after its TLS handshake; closed if there is none.

    Raises:
        OSError: There is none.
    """
    try:
        raw.settimeout(max(0.1, limit_s))
        secured = tls.wrap_socket(raw, server_hostname=host)
    except OSError:  # a certificate that is not believed is a ValueError, too
        raise
    except ValueError as error:  # a name that can be none
        raise OSError(str(error)) from error
    finally:
        raw.close()  # unless it was taken over
    secured.settimeout(None)
    return secured


def _close(outcome: Connection | OSError) -> None:
    if isinstance(outcome, Connection):
        outcome.socket.close()
