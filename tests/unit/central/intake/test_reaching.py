"""Why a broker was not reached is told with what mends that: most often a certificate, and no cable."""

from __future__ import annotations

import errno
import fcntl
import socket
import ssl
from pathlib import Path
from threading import Thread

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from central.__main__ import main
from central.fleet import authority
from central.intake import reaching
from central.intake.collector import Broker
from central.intake.reaching import hint_for, not_connected, not_served
from kiosk.errors import LinkError

URL = "mqtts://broker.example:8883"


def _unverified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "words of OpenSSL"
    return error


def _tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (_unverified(20), "--ca-file"),
        (_unverified(19), "--ca-file"),
        (_unverified(18), "--ca-file"),
        (_unverified(62), "by a name that its certificate has"),
        (_unverified(64), "by a name that its certificate has"),
        (_unverified(10), "this machine's clock"),
        (_unverified(9), "this machine's clock"),
        (_tls("WRONG_VERSION_NUMBER"), "mqtts:// does, mqtt:// does not"),
        (_tls("TLSV1_ALERT_PROTOCOL_VERSION"), "--least-tls 1.2"),
        (_tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "--cert-file and --key-file"),
        (socket.gaierror(-2, "Name or service not known"), "name is written right"),
        (ConnectionRefusedError(111, "Connection refused"), "broker runs, and listens"),
        (OSError(113, "No route to host"), "a way there: a cable"),
        (ValueError("Invalid host."), "a way there: a cable"),
    ],
)
def test_each_reason_has_its_own_remedy(error: Exception, remedy: str) -> None:
    """A cable is named where a cable may help."""
    told = not_connected(URL, error)
    assert remedy in str(told)
    assert str(told).startswith(f"cannot connect to {URL}: ")
    assert ("cable" in str(told)) == ("cable" in remedy)
    assert hint_for(error) == told.hint


def test_broker_that_ends_a_connection_is_told_without_words_of_a_library() -> None:
    """Who showed nothing is asked to; who did is asked whether the broker believes it."""
    nobody = not_served(Broker(URL), "does not tell", "MQTT_ERR_CONN_LOST")
    assert str(nobody).startswith(f"{URL} does not tell: it ended the connection; show it who you are: --cert-file")
    known = not_served(Broker(URL, username="x"), "does not tell", "Not authorized")
    assert str(known).startswith(f"{URL} does not tell: Not authorized; see that the broker believes")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho lets go of it unclosed
@pytest.mark.parametrize(("certified", "remedy"), [("localhost", "--ca-file"), ("other.example", "by a name that")])
def test_server_of_a_strange_authority_asks_for_its_file(
    certified: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real handshake: with nobody's authority, and with the right one under a wrong name."""
    made = authority.create(tmp_path / "fleet", "a fleet")
    certificate, key = made.issue_server([certified])
    (tmp_path / "server.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        shaking = Thread(target=_shake_hands, args=(server, context))
        shaking.start()
        words = ["fleet", "list", "--fleet", str(tmp_path / "fleet"), "--at-broker"]
        words.append(f"mqtts://localhost:{server.getsockname()[1]}")
        if certified != "localhost":
            words += ["--ca-file", str(tmp_path / "fleet" / "ca.pem")]
        assert main(["ca", "init", "--fleet", str(tmp_path / "fleet")]) == 21
        (tmp_path / "fleet" / "fleet.db").touch()
        assert main(words) == LinkError.exit_code
        shaking.join(20)
    said = capsys.readouterr().err.splitlines()[-1]
    assert remedy in said
    assert "cable" not in said


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    with connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_side=True)


def test_place_of_a_certificate_is_taken_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One holder at a time; without a certificate there is nothing to take, and a file system without locks keeps nobody out."""
    monkeypatch.setattr(reaching, "PLACE_S", 0.1)
    one, two = (reaching.ReachingClient(CallbackAPIVersion.VERSION2) for _ in range(2))
    cert = tmp_path / "cert.pem"
    cert.touch()
    for client in (one, two):
        client.take_place(Broker(URL))
    one.take_place(Broker(URL, cert_file=cert))
    with pytest.raises(LinkError, match="has one place there"):
        two.take_place(Broker(URL, cert_file=cert))
    one.disconnect()
    two.take_place(Broker(URL, cert_file=cert))

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    one.take_place(Broker(URL, cert_file=cert))
    for client in (one, two):
        client.leave_place()
