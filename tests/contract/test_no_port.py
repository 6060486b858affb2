"""The kiosk opens no port: not for its broker, and not for a moment to wake its own loop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from kiosk.config import Config
from kiosk.delivery import mqtt


def test_link_never_listens(broker: Any, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to a real broker works in a process that may not call `listen`, as in the uplink's sandbox."""

    def refused(*_: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket.socket, "listen", refused)
    config = make_config(uplink={"brokers": [broker.url]})
    assert mqtt.probe(config, broker.url, 10)


def test_link_binds_nothing(broker: Any, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection works in a process that may not call `bind`, as where the kernel heeds `SocketBindDeny=any`."""

    def refused(*_: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket.socket, "bind", refused)
    config = make_config(uplink={"brokers": [broker.url]})
    assert mqtt.probe(config, broker.url, 10)
