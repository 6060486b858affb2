"""Dates of certificates are judged by the machine's clock, by the centre's time where that was never set, or not at all."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import trustme

from kiosk.clock import SystemClock, keep_anchor
from kiosk.commissioning import enrolment
from kiosk.config import Config
from kiosk.delivery import tls
from kiosk.model import ClockQuality
from kiosk.updates import fetch

DAY_NS = 86_400_000_000_000
Tried = Callable[..., str]
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the socket of a failed handshake


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has set the machine's clock, by which OpenSSL judges."""
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Tried]:
    """Says hello to a server whose certificate is valid between these days from now; why not, if that fails."""
    threads: list[Thread] = []

    def serve(listener: socket.socket, context: ssl.SSLContext) -> None:
        with closing(listener):
            peer, _ = listener.accept()
        try:
            context.wrap_socket(peer, server_side=True).close()
        except OSError:
            peer.close()

    def one(
        first_days: int, last_days: int, *, ignore_unknown: bool = False, meanwhile: Callable[[], object] = list
    ) -> str:
        ours, now = trustme.CA(), datetime.now(UTC)
        server, context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        first, last = now + timedelta(days=first_days), now + timedelta(days=last_days)
        ours.issue_cert("127.0.0.1", not_before=first, not_after=last).configure_cert(server)
        ours.configure_trust(context)
        tls.judge_dates(context, tmp_path, ignore_unknown=ignore_unknown)
        listener = socket.create_server(("127.0.0.1", 0))
        threads.append(Thread(target=serve, args=(listener, server)))
        threads[-1].start()
        meanwhile()
        raw = socket.create_connection(listener.getsockname(), 5)
        try:
            context.wrap_socket(raw, server_hostname="127.0.0.1").close()
        except ssl.SSLCertVerificationError as error:
            raw.close()
            return str(error.verify_message)
        return "hello"

    yield one
    for thread in threads:
        thread.join(10)


def _told(runtime_dir: Path, days: int) -> None:
    """The centre says that it is so many days later than the machine believes."""
    assert keep_anchor(runtime_dir, SystemClock().now(), time.time_ns() + days * DAY_NS)


def test_clock_that_is_set_judges(tried: Tried, tmp_path: Path) -> None:
    """OpenSSL does it, whatever is wished for, and whatever lies in the folder."""
    (tmp_path / "clock.json").write_text("{}")
    assert tried(-1, 1) == "hello"
    assert "not yet valid" in tried(1, 9, ignore_unknown=True)
    assert "expired" in tried(-9, -1, ignore_unknown=True)


@pytest.mark.usefixtures("unset")
def test_centres_time_judges_where_the_clock_was_never_set(tried: Tried, tmp_path: Path) -> None:
    """In both directions, before anything is sent, whatever is done while there is no time at all."""
    _told(tmp_path, 5)
    for ignore_unknown in (False, True):
        assert tried(1, 9, ignore_unknown=ignore_unknown) == "hello"
        assert tried(-1, 2, ignore_unknown=ignore_unknown) == "has expired, by the centre's time"
        assert tried(8, 9, ignore_unknown=ignore_unknown) == "is not yet valid, by the centre's time"


@pytest.mark.usefixtures("unset")
def test_without_any_time_dates_are_ignored_only_where_that_is_wished_for(tried: Tried) -> None:
    """Else by the day that the machine shows."""
    assert "not yet valid" in tried(1, 9)
    assert tried(1, 9, ignore_unknown=True) == "hello"


@pytest.mark.usefixtures("unset")
def test_time_is_asked_for_in_the_handshake(tried: Tried, tmp_path: Path) -> None:
    """The centre may tell it after the context was made; and should its file vanish, nobody is let in."""
    told = tried(-9, -1, ignore_unknown=True, meanwhile=lambda: _told(tmp_path, 0))
    assert told == "has expired, by the centre's time"
    gone = tried(-1, 9, meanwhile=(tmp_path / "clock.json").unlink)
    assert gone == "cannot be judged: the centre's time is gone"


@pytest.mark.usefixtures("unset")
def test_bundles_and_renewals_are_fetched_by_the_centres_time(make_config: Callable[..., Config]) -> None:
    """Else a station without a time server would take no update and lose its certificate: its machine shows last spring."""
    config, ca_pem = make_config(), trustme.CA().cert_pem.bytes().decode()

    def judges() -> list[str]:
        contexts = (fetch.context_of(config), enrolment._context(ca_pem, config.state.runtime_dir))
        return [context.sslsocket_class.__name__ for context in contexts]

    assert judges() == ["SSLSocket", "SSLSocket"]
    _told(config.state.runtime_dir, 1)
    assert judges() == ["Dated", "Dated"]
