"""A centre for stations to be set up at: a broker as it ships, and an enrolment server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from central.fleet import authority, invitation
from central.fleet.enrolment_server import EnrolmentServer
from central.fleet.registry import Fleet
from kiosk.envelopes.provisioning_code import ProvisioningCode
from kiosk.model import Direction

HOUR_S = 3600


class Centre:
    """A broker as it ships, an enrolment server on a thread, and their fleet's folder."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.fleet: Path = broker.fleet
        self.authority: authority.Authority = broker.authority
        Fleet(self.fleet / "fleet.db").close()
        self.server = EnrolmentServer(
            ("127.0.0.1", 0), self.authority, self.fleet / "broker.pem", self.fleet / "broker.key", days=30
        )
        self.port = int(self.server.server_address[1])
        self._thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def wanted(self, kiosk_id: str = "door-a", **changes: Any) -> ProvisioningCode:
        """What a code shall say."""
        code = ProvisioningCode(
            kiosk_id, "office-1", (("main", Direction.IN),), f"127.0.0.1:{self.broker.port}", f"127.0.0.1:{self.port}",
            b"", b"", 0, 0,
        )  # fmt: skip
        return replace(code, **changes)

    def code(self, kiosk_id: str = "door-a", valid_s: int = HOUR_S, **changes: Any) -> str:
        """A new code."""
        with Fleet(self.fleet / "fleet.db") as registry:
            return invitation.invite(registry, self.authority, self.wanted(kiosk_id, **changes), valid_s)

    def stop(self) -> None:
        """End the server."""
        self.server.shutdown()
        self._thread.join(10)
        self.server.server_close()
