"""Certificates that end: renewed in time, once, by whom they belong to; and a card that was copied."""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from central.__main__ import main as central
from central.fleet.registry import Fleet
from kiosk.clock import SystemClock, keep_anchor
from kiosk.commissioning import enrolment, identity, provision
from kiosk.delivery.mqtt import probe
from kiosk.errors import ProvisionError
from kiosk.model import ClockQuality
from kiosk.settings import loader
from tests.centres import Centre

DAY_NS = 86_400_000_000_000


def test_certificate_is_renewed_in_time(centre: Centre, board: Callable[..., Path]) -> None:
    """Not before two thirds of its life; then with a new key, by the present certificate; warned about if that fails."""
    path = board()
    provision.set_up(path, centre.code())
    config = loader.load(path)
    folder, now = identity.folder_in(config.state.dir), SystemClock().now()
    old = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    assert not provision.renew_if_due(config, replace(now, wall_ns=now.wall_ns + 19 * DAY_NS))
    assert (folder / "cert.pem").read_bytes() in (folder / "key.pem").read_bytes()
    assert provision.renew_if_due(config, replace(now, wall_ns=now.wall_ns + 21 * DAY_NS))
    new = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    assert new.public_key() != old.public_key()
    assert new.subject == old.subject
    assert probe(config, config.uplink.brokers[0], 5.0) == "speaks MQTT 5"
    in_days = [replace(now, wall_ns=now.wall_ns + days * DAY_NS) for days in (23, 25, 31)]
    assert [provision.warnings(config, then) for then in in_days] == [
        [],
        ["certificate-expiring"],
        ["certificate-expired"],
    ]
    with Fleet(centre.fleet / "fleet.db") as registry:
        registry.revoke("door-a")
    assert not provision.renew_if_due(config, in_days[0])
    assert x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes()) == new


def _renews(centre: Centre, cert: Path) -> tuple[int, Any]:
    """As whoever copied the card does it, with nothing of the station's own software: a new key, and the certificate that lies there."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    context = ssl.create_default_context(cadata=centre.authority.ca_pem.decode())
    context.load_cert_chain(cert)
    with closing(HTTPSConnection("127.0.0.1", centre.port, timeout=10, context=context)) as connection:
        connection.request(
            "POST", "/v1/renew", json.dumps({"request": asked.public_bytes(serialization.Encoding.PEM).decode()})
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_copied_card_is_noticed(
    centre: Centre, board: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever of the two renews second is an alarm in the list; the station itself goes on, and a new code for it ends the copy."""
    path = board()
    provision.set_up(path, centre.code())
    config = loader.load(path)
    copied = tmp_path / "copied.pem"
    shutil.copy(identity.folder_in(config.state.dir) / "key.pem", copied)
    now = SystemClock().now()
    assert provision.renew_if_due(config, replace(now, wall_ns=now.wall_ns + 21 * DAY_NS))

    def listed() -> str:
        capsys.readouterr()
        assert central(["fleet", "list", "--fleet", str(centre.fleet)]) == 0
        return capsys.readouterr().out

    assert "copied?" not in listed()
    assert [_renews(centre, copied)[0] for _ in range(6)] == [200] * 3 + [409] * 3
    assert "copied?" in listed()
    assert central(["fleet", "list", "--json", "--fleet", str(centre.fleet)]) == 0
    assert json.loads(capsys.readouterr().out)["copies"] == 6
    assert provision.renew_if_due(config, replace(now, wall_ns=now.wall_ns + 45 * DAY_NS)), (
        "its own certificate is another by now"
    )
    provision.set_up(path, centre.code(again=True))
    assert "copied?" not in listed()
    assert _renews(centre, copied)[0] == 403


def test_answer_to_a_renewal_that_was_lost_is_no_copy(
    centre: Centre, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The station asks again with the key that it has kept, and gets the certificate that was made for it."""
    path = board()
    provision.set_up(path, centre.code())
    config = loader.load(path)
    due = SystemClock().now()
    due = replace(due, wall_ns=due.wall_ns + 21 * DAY_NS)
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "_checked", lambda *_: (_ for _ in ()).throw(ProvisionError(7, "the plug was pulled")))
        assert [provision.renew_if_due(config, due) for _ in range(3)] == [False] * 3
    assert provision.renew_if_due(config, due)
    with Fleet(centre.fleet / "fleet.db") as registry:
        (station,) = registry.stations()
        made = registry._db.execute("SELECT count(*) FROM certificates").fetchone()
    assert (station.copies, made) == (0, (2,))
    assert not (config.state.dir / "enrolment").exists()


def test_certificate_is_renewed_by_the_centres_time(
    centre: Centre, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine whose clock was never set; and a server whose certificate has expired by that time gets no request."""
    path = board()
    provision.set_up(path, centre.code())
    config = loader.load(path)
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)
    clock, unset = SystemClock(config.state.runtime_dir), SystemClock().now()
    assert not provision.renew_if_due(config, unset)
    keep_anchor(config.state.runtime_dir, unset, unset.wall_ns + 40 * 365 * DAY_NS)
    assert not provision.renew_if_due(config, clock.now())
    keep_anchor(config.state.runtime_dir, unset, unset.wall_ns + 21 * DAY_NS)
    assert provision.renew_if_due(config, clock.now())
