"""Addresses of the loopback, good and bad, and a resolver that answers as it is told: what tests of reaching somebody share."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any
from unittest import mock

from aiohappyeyeballs import AddrInfoType

NAME = "broker.example"
Address = tuple[str, int]
V4, V6 = socket.AF_INET, socket.AF_INET6


class Net:
    """Addresses of the loopback, good and bad, and a resolver that answers as it is told."""

    def __init__(self, stack: ExitStack, name: str = NAME) -> None:
        """Put its resolver in the place of the system's.

        Args:
            stack: Ends everything.
            name: The name that it answers for.
        """
        self._stack = stack
        self._name = name
        self.answers: dict[socket.AddressFamily, Callable[[], list[Address]]] = {V4: list, V6: list}
        self.asked: list[socket.AddressFamily] = []
        self._resolve: Callable[..., Any] = socket.getaddrinfo
        stack.enter_context(mock.patch.object(socket, "getaddrinfo", self.resolve))

    def resolve(self, host: str, port: int, family: int = 0, kind: int = 0) -> list[AddrInfoType]:
        """In the place of `socket.getaddrinfo`."""
        if host != self._name:
            return list(self._resolve(host, port, family, kind))
        family = socket.AddressFamily(family)
        self.asked.append(family)
        found = self.answers[family]()
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(family, kind, 6, "", address if family == V4 else (*address, 0, 0)) for address in found]

    def good(self, host: str = "127.0.0.1") -> Address:
        """Takes connections."""
        return self._listener(host, 64)

    def hole(self, host: str = "127.0.0.1") -> Address:
        """Never answers: its queue is full, and the kernel swallows what comes."""
        address = self._listener(host, 0)
        for _ in range(3):
            one = self._stack.enter_context(socket.socket(V6 if ":" in host else V4))
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(address)
        return address

    def refused(self) -> Address:
        """Nobody listens there."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return ("127.0.0.1", int(probe.getsockname()[1]))

    def unreachable(self) -> Address:
        """No way leads there; the kernel says so at once, and sends nothing."""
        return ("255.255.255.255", 9)

    def _listener(self, host: str, backlog: int) -> Address:
        listener = self._stack.enter_context(socket.socket(V6 if ":" in host else V4))
        listener.bind((host, 0))
        listener.listen(backlog)
        return (host, int(listener.getsockname()[1]))
