"""An HTTPS server with one bundle, as a centre has it, that can be told to misbehave."""

from __future__ import annotations

import hashlib
import os
import ssl
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import trustme

from kiosk.envelopes.offer import Offer

NEW = "0.2.0+20261201000000"


class Server:
    """An HTTPS server with one file, that can be told to misbehave."""

    def __init__(self, folder: Path) -> None:
        self.content = os.urandom(500_000)
        self.cut_after: int | None = None
        self.ranges = True
        self.status = 200
        self.asked: list[str | None] = []
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._http.server_address[1])
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        content = self.content[start:]
        request.send_response(206 if start and self.status == 200 else self.status)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        with suppress(ConnectionError):  # a station that has seen enough hangs up
            request.wfile.write(content if self.cut_after is None else content[: self.cut_after])

    def offer(self, **changes: Any) -> Offer:
        url = f"https://localhost:{self.port}/bundles/kiosk.raucb"
        made = Offer(NEW, url, hashlib.sha256(self.content).digest(), len(self.content))
        return replace(made, **changes)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join(10)
        self._http.server_close()
