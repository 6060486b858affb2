"""The centre's side of enrolment: a small HTTPS server that turns tokens into certificates.

    GET  /v1/ca      the authority's certificate: public, and pinned by the code
    POST /v1/enrol   {"token", "request"} → {"certificate", "authority_keys"?}        once a token
    POST /v1/renew   {"request"} → the same, for whoever shows a certificate that is not revoked

TLS 1.3 only. A connection is one question: it has `STEP_S` for each step and `QUESTION_S` in all, and its body is at most `LARGEST_BODY_BYTES`. At most
`CONNECTIONS` are served at a time (`central.fleet.places`); where all are taken, the address that holds most of them gives its oldest up, so that nobody
who dawdles keeps others out. An address that has been refused `REFUSALS` times within a minute waits with its tokens; whoever shows
a certificate renews it all the same. Nothing that a stranger sends is logged.

Units: `_s` seconds.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import ssl
import sys
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from central.fleet.authority import LARGEST_REQUEST_BYTES, key_hash, key_of
from central.fleet.places import Places
from central.fleet.registry import TOKEN_BYTES, Fleet, RefusedError
from kiosk.errors import FleetError

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from central.fleet.authority import Authority

_log = logging.getLogger(__name__)

STEP_S, QUESTION_S = 10.0, 15.0
LINGER_S = 0.3
LIST_EVERY_S = 3600.0
LARGEST_BODY_BYTES = 2 * LARGEST_REQUEST_BYTES
CONNECTIONS = 16
REFUSALS = 10
REFUSALS_S = 60.0
ADDRESSES = 4096
_CERTIFY = "`central ca server NAME --as broker` makes both, or name them with --cert-file and --key-file"
_LISTEN = {
    errno.EADDRINUSE: "another program has this port (`ss -ltnp` names it); end it, or choose another with --listen",
    errno.EACCES: "ports below 1024 are root's; choose another with --listen",
}
_STATUS = {"unknown": 403, "used": 409, "expired": 410, "revoked": 403, "later": 429}


class EnrolmentServer(ThreadingHTTPServer):
    """The server. `serve_forever` until `shutdown`."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], authority: Authority, certificate: Path, key: Path, *, days: float
    ) -> None:
        """Listen.

        Args:
            address: Host and port.
            authority: Who signs; its folder has the registry and, perhaps, `authority-keys.cose`.
            certificate: The server's, PEM.
            key: Its key, PEM.
            days: Life of the stations' certificates.

        Raises:
            FleetError: A file cannot be used, or the address cannot be listened at.
        """
        self.authority = authority
        self.days = days
        self.signing = Lock()
        self._places = Places(CONNECTIONS, QUESTION_S)
        self._refusals: dict[str, deque[float]] = {}
        self._next_list_s = time.monotonic() + LIST_EVERY_S
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.verify_mode = ssl.CERT_OPTIONAL
        try:
            self._context.load_verify_locations(cadata=authority.ca_pem.decode())
            self._context.load_cert_chain(str(certificate), str(key))
        except OSError as error:  # ssl.SSLError is one
            raise FleetError(f"cannot serve with {certificate} and {key}: {error}", hint=_CERTIFY) from error
        self._publish()
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            hint = _LISTEN.get(
                error.errno or 0, "see that --listen names an address of this machine, as in 0.0.0.0:8443"
            )
            raise FleetError(f"cannot listen at {where}: {error.strerror or error}", hint=hint) from error

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  socketserver's own types
        """A thread of its own, if there is a place."""
        if self._places.take(request, str(client_address[0])):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Between two questions: end those whose time is over; once an hour, revoke what was renewed long enough ago."""
        self._places.end_late()
        if time.monotonic() >= self._next_list_s:
            self._next_list_s = time.monotonic() + LIST_EVERY_S
            Thread(target=self._publish, daemon=True).start()

    def _publish(self) -> None:
        try:
            with self.signing, Fleet(self.authority.folder / "fleet.db") as registry:
                self.authority.publish(registry.revoked)
        except FleetError as error:
            _log.error("list-not-written reason=%r", str(error))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  as above
        """Whatever a stranger has sent is no traceback."""
        _log.error("failed reason=%s", type(sys.exception()).__name__)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as above
        """The handshake is made here and not in the loop that accepts, which a silent client would hold up."""
        try:
            request.settimeout(STEP_S)
            with self._context.wrap_socket(cast("socket.socket", request), server_side=True) as secured:
                self.finish_request(secured, client_address)
        except OSError:
            pass  # a stranger, a scanner, a station that was unplugged
        finally:
            self._places.leave(request)
            request.close()

    def is_patient_with(self, host: str) -> bool:
        """Whether this address may ask."""
        now_s = time.monotonic()
        with self.signing:
            times = self._refusals.get(host, deque())
            while times and times[0] < now_s - REFUSALS_S:
                times.popleft()
            return len(times) < REFUSALS

    def note_refusal(self, host: str) -> None:
        """Remember that this address was refused."""
        with self.signing:
            if len(self._refusals) >= ADDRESSES and host not in self._refusals:
                self._refusals.pop(next(iter(self._refusals)))
            self._refusals.setdefault(host, deque(maxlen=REFUSALS)).append(time.monotonic())


class _QuestionError(Exception):
    """The question is not understood."""


class _Handler(BaseHTTPRequestHandler):
    """One question."""

    server: EnrolmentServer
    server_version = "central"
    sys_version = ""
    timeout = STEP_S

    def do_GET(self) -> None:
        """The authority's certificate."""
        if self.path == "/v1/ca":
            self._answer(200, {"ca": self.server.authority.ca_pem.decode()})
        else:
            self._answer(404, {"error": "unknown"})

    def do_POST(self) -> None:
        """A certificate."""
        host = str(self.client_address[0])
        if not (self._shows_certificate() or self.server.is_patient_with(host)):
            self._answer(429, {"error": "later"})
            return
        try:
            match self.path:
                case "/v1/enrol":
                    certificate = self._enrolled(self._question("token", "request"))
                case "/v1/renew":
                    certificate = self._renewed(self._question("request"))
                case _:
                    raise _QuestionError
        except RefusedError as error:
            self.server.note_refusal(host)
            _log.warning("refused question=%s reason=%s", self.path.rpartition("/")[2], error.refusal.value)
            self._answer(_STATUS[error.refusal.value], {"error": error.refusal.value})
        except _QuestionError:
            self.server.note_refusal(host)
            self._answer(400, {"error": "not-understood"})
        except FleetError as error:
            _log.error("failed reason=%r", str(error))
            self._answer(500, {"error": "failed"})
        else:
            self._answer(200, {"certificate": certificate.decode(), **self._authority_keys()})

    def _shows_certificate(self) -> bool:
        """Whether a station that the authority knows renews its certificate: its neighbours' mistakes are not its own."""
        return self.path == "/v1/renew" and bool(cast("ssl.SSLSocket", self.connection).getpeercert())

    def _enrolled(self, question: dict[str, str]) -> bytes:
        try:
            token = bytes.fromhex(question["token"])
        except ValueError as error:
            raise _QuestionError from error
        if len(token) != TOKEN_BYTES:
            raise _QuestionError
        key = _key_in(question)
        with self.server.signing, Fleet(self.server.authority.folder / "fleet.db") as registry:
            kiosk, known = registry.claim(token, key_hash(key))
            if known is not None:
                return known
            certificate = self._certified(registry, kiosk, key, supersedes=True)
            self.server.authority.publish(registry.revoked)
        _log.info("enrolled kiosk=%s", kiosk)
        return certificate

    def _renewed(self, question: dict[str, str]) -> bytes:
        shown = cast("ssl.SSLSocket", self.connection).getpeercert(binary_form=True)
        if shown is None:
            raise _QuestionError
        key = _key_in(question)
        with self.server.signing, Fleet(self.server.authority.folder / "fleet.db") as registry:
            kiosk, known = registry.renewal(x509.load_der_x509_certificate(shown).serial_number, key_hash(key))
            if known is not None:
                return known
            certificate = self._certified(registry, kiosk, key, supersedes=False)
        _log.info("renewed kiosk=%s", kiosk)
        return certificate

    def _certified(self, registry: Fleet, kiosk: str, key: EllipticCurvePublicKey, *, supersedes: bool) -> bytes:
        made = self.server.authority.certify(kiosk, key, self.server.days)
        pem = made.public_bytes(serialization.Encoding.PEM)
        expires_s = int(made.not_valid_after_utc.timestamp())
        registry.issued(kiosk, made.serial_number, key_hash(key), expires_s, pem, supersedes=supersedes)
        return pem

    def _question(self, *names: str) -> dict[str, str]:
        try:
            size_bytes = int(self.headers.get("Content-Length", ""))
        except ValueError as error:
            raise _QuestionError from error
        if not 0 < size_bytes <= LARGEST_BODY_BYTES:
            raise _QuestionError
        try:
            question = json.loads(self.rfile.read(size_bytes))
        except (ValueError, RecursionError) as error:
            raise _QuestionError from error
        if not isinstance(question, dict) or not all(isinstance(question.get(name), str) for name in names):
            raise _QuestionError
        return cast("dict[str, str]", question)

    def _authority_keys(self) -> dict[str, str]:
        path = self.server.authority.folder / "authority-keys.cose"
        try:
            return {"authority_keys": base64.b64encode(path.read_bytes()).decode()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            _log.warning("authority-keys-not-read reason=%r", error.strerror)
            return {}

    def _answer(self, status: int, answer: dict[str, str]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
        self._hear_out()

    def _hear_out(self) -> None:
        """Take what is still on its way, a little of it: closing with it unread would cut the answer off."""
        self.connection.settimeout(LINGER_S)
        left_bytes = 2 * LARGEST_BODY_BYTES
        with suppress(OSError):
            while left_bytes > 0 and (heard := self.connection.recv(left_bytes)):
                left_bytes -= len(heard)

    def log_message(self, *_: object) -> None:
        """Nothing of what a stranger sends."""


def _key_in(question: dict[str, str]) -> EllipticCurvePublicKey:
    """Judged before the token is spent."""
    try:
        return key_of(question["request"].encode())
    except (FleetError, UnicodeError) as error:
        raise _QuestionError from error
