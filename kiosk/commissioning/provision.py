"""Setting a station up: from the text of a provisioning code to an identity on the disk, and the two loops around it.

The scan process has the camera and no network; the uplink has the network and no devices. So the first reads and
verifies the code and puts it into `state.runtime_dir`; the second verifies it once more, redeems it, writes the identity, and says
in its marks how it went:

    scan:    camera → code → verified → provisioning-code      blue … green, or red and the number counted out
    uplink:  provisioning-code → verified → network → certificate → identity → provision.json

A code that comes in a file goes the uplink's way in `kiosk provision`, with the same marks.

Units: `_s` seconds.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from kiosk import forms, health
from kiosk.clock import SystemClock
from kiosk.commissioning import enrolment, identity, wifi
from kiosk.disk import shared
from kiosk.envelopes import provisioning_code
from kiosk.envelopes.provisioning_code import ENTRIES_WAIT, NO_CENTRE, NOT_A_CODE, NOT_KEPT, SET_UP_ALREADY
from kiosk.errors import ConfigError, OutboxError, ProvisionError, SealError
from kiosk.language.message import say
from kiosk.log import line
from kiosk.model import ClockQuality
from kiosk.outbox import Outbox
from kiosk.process.notify import Notifier
from kiosk.settings import loader
from kiosk.trust import authority_keys
from kiosk.trust import fleet_keys as trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.config import Config
    from kiosk.envelopes.provisioning_code import ProvisioningCode
    from kiosk.model import Moment

_log = logging.getLogger(__name__)

SPOOL = "provisioning-code"
MARKS = "provision"
FRESH_S = 120.0
WAIT_S = 45.0
"""How long the centre is tried: the network may just be coming up."""
PAUSE_S = 2.0
RENEW_SHARE = 2 / 3
"""Of a certificate's life: a new one is fetched."""
WARN_SHARE = 0.8
"""Of a certificate's life: fetching has failed for long."""
ROUND_S = 0.2
_SPOOL_BYTES = 2 * provisioning_code.LONGEST
_CLOSED = "jumper closed"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A code on its way from the scan process to the uplink.

    Attributes:
        text: The code.
        jumper: Whether the jumper was closed when it was shown.
    """

    text: str
    jumper: bool


def name_of(text: str) -> str:
    """What marks call a code: it says nothing of it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fleet_keys(config: Config) -> dict[bytes, Ed25519PublicKey]:
    """The fleet's public keys by their ids, at least one.

    Raises:
        ConfigError: There is none that can be read.
    """
    path = config.trust.fleet_key_file
    keys = trust.fleet_keys(path)
    if not keys:
        raise ConfigError(
            say("trust.fleet_key_file: {path} does not exist", path=path), hint=say("put the fleet's `fleet.pem` there")
        )
    return keys


def verified(board: Config, text: str, *, jumper: bool) -> ProvisioningCode:
    """The code, if it is good for this station now.

    Args:
        board: The station's settings, set up or not.
        text: What was read.
        jumper: Whether the jumper is closed.

    Raises:
        ProvisionError: It is not; the number says why.
        ConfigError: The fleet's key cannot be read.
    """
    now = SystemClock(board.state.runtime_dir).now()
    now_s = None if now.quality is ClockQuality.UNSET else now.wall_ns // 1_000_000_000
    code = provisioning_code.decode(text, fleet_keys(board), now_s)
    set_up = board.kiosk.id != loader.NOBODY or identity.is_there(board.state.dir)
    if set_up and not (code.again or jumper):
        raise ProvisionError(
            SET_UP_ALREADY,
            say("this station is set up already"),
            hint=say("show a code made with --again, or close the jumper"),
        )
    own = _name_of(board)
    if own not in {loader.NOBODY, code.kiosk}:
        _check_rename(board, own, code.kiosk, jumper=jumper)
    return code


def _name_of(board: Config) -> str:
    """Who it is: by its own settings, or by what it was set up as."""
    valid = identity.validity(board.state.dir)
    return board.kiosk.id if board.kiosk.id != loader.NOBODY or valid is None else valid.kiosk


def _check_rename(board: Config, own: str, name: str, *, jumper: bool) -> None:
    """A board that has a name gets another one by the jumper alone, and not while entries wait that were made under the old one.

    Raises:
        ProvisionError: It does not.
    """
    if not jumper:
        raise ProvisionError(
            SET_UP_ALREADY,
            say("the code is for {name}, and this station is {own}", name=name, own=own),
            hint=say("show its own code; to give the board another name, close the jumper"),
        )
    path = board.state.dir / "outbox.db"
    waiting = 0
    if path.exists():
        try:
            with closing(Outbox.open_existing(path, board.outbox)) as outbox:
                waiting = outbox.depth() + len(outbox.oversized())
        except OutboxError as error:
            raise ProvisionError(NOT_KEPT, error.sentence) from error
    if waiting:
        raise ProvisionError(
            ENTRIES_WAIT,
            say(
                "{count} entries of {own} wait, and would be nobody's under another name",
                count=waiting,
                own=own,
            ),
            hint=say(
                "let the station reach the centre until `kiosk outbox` says that none waits, then show the code again"
            ),
        )


def set_up(
    path: Path, text: str, *, jumper: bool = False, wait_s: float = WAIT_S, alive: Callable[[], None] | None = None
) -> ProvisioningCode:
    """Redeem a code and write the station's identity.

    Args:
        path: The station's configuration.
        text: The code.
        jumper: Whether the jumper is closed.
        wait_s: How long the centre is tried.
        alive: Called after each question and each try, for whoever watches this process.

    Raises:
        ProvisionError: It could not be done; the station is as it was before.
        ConfigError: The configuration or the fleet's key cannot be used.
    """
    board = loader.load_board(path)
    code = verified(board, text, jumper=jumper)
    folder = identity.folder_in(board.state.dir)
    given = _settings_of(code, folder)
    try:
        loader.load_with(path, given)
    except ConfigError as error:
        what = say("the code does not fit this board: {reason}", reason=error.sentence)
        raise ProvisionError(NOT_A_CODE, what, hint="") from error
    if code.wifi is not None:
        wifi.join(board.state.dir, board.state.runtime_dir, code.wifi, alive)
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            ca_pem = enrolment.authority_of(code)
            if alive is not None:
                alive()
            key = identity.pending_key(board.state.dir, name_of(text))
            answer = enrolment.enrol(code, ca_pem, key, board.state.runtime_dir)
            break
        except ProvisionError as error:
            if error.number != NO_CENTRE or time.monotonic() > deadline_s:
                raise
            _log.warning(line("enrolment-tried", reason=error))
        if alive is not None:
            alive()
        time.sleep(PAUSE_S)
    files = {
        identity.KEY: (identity.private_pem(key) + answer.certificate, identity.PRIVATE),
        identity.CERTIFICATE: (answer.certificate, identity.SHARED),
        identity.CA: (ca_pem, identity.SHARED),
        identity.SETTINGS: (yaml.safe_dump(given, sort_keys=False).encode(), identity.SHARED),
    }
    keys = _newest_keys(board, answer.authority_keys)
    if keys is not None:
        files[identity.AUTHORITY_KEYS] = (keys, identity.SHARED)
    identity.replace(board.state.dir, files)
    _log.info(line("set-up", kiosk=code.kiosk, site=code.site))
    return code


def spool(runtime_dir: Path, text: str, *, jumper: bool) -> None:
    """Hand a verified code to the uplink.

    Raises:
        ProvisionError: It cannot be written.
    """
    try:
        runtime_dir.mkdir(mode=0o770, parents=True, exist_ok=True)
    except OSError as error:
        raise ProvisionError(NOT_KEPT, f"{runtime_dir}: {error.strerror}") from error
    identity.write(runtime_dir / SPOOL, f"{text}\n{_CLOSED if jumper else ''}\n".encode(), identity.SHARED)


def spooled(runtime_dir: Path) -> Spooled | None:
    """Take the code that waits, if one does."""
    path = runtime_dir / SPOOL
    try:
        lines = shared.read(path, _SPOOL_BYTES).decode("ascii", "replace").splitlines()
        path.unlink()
    except OSError:
        return None
    return Spooled(lines[0], _CLOSED in lines[1:]) if lines else None


def tend(path: Path, runtime_dir: Path, alive: Callable[[], None] | None = None) -> bool:
    """The uplink's part: redeem a code that waits, and say how it went.

    Args:
        path: The station's configuration.
        runtime_dir: Where the code waits.
        alive: Called after each try, for whoever watches this process.

    Returns:
        Whether the station has been set up by it.
    """
    waiting = spooled(runtime_dir)
    if waiting is None:
        return False
    try:
        redeem(path, waiting.text, runtime_dir, jumper=waiting.jumper, alive=alive)
    except (ProvisionError, ConfigError):
        return False
    return True


def redeem(
    path: Path,
    text: str,
    runtime_dir: Path,
    *,
    jumper: bool = False,
    wait_s: float = WAIT_S,
    alive: Callable[[], None] | None = None,
) -> ProvisioningCode:
    """The same as `set_up`, and said in the marks, which the scan process shows at the panel.

    Args:
        path: The station's configuration.
        text: The code.
        runtime_dir: Where the marks are.
        jumper: Whether the jumper is closed.
        wait_s: How long the centre is tried.
        alive: Called after each try, for whoever watches this process.

    Raises:
        ProvisionError: It could not be done; the station is as it was before.
        ConfigError: The configuration or the fleet's key cannot be used.
    """
    name = name_of(text)
    _mark(runtime_dir, name, "working", 0, "")
    try:
        code = set_up(path, text, jumper=jumper, wait_s=wait_s, alive=alive)
    except (ProvisionError, ConfigError) as error:
        number = error.number if isinstance(error, ProvisionError) else NOT_KEPT
        _log.error(line("not-set-up", number=number, reason=error))
        _mark(runtime_dir, name, "failed", number, str(error))
        raise
    _mark(runtime_dir, name, "done", 0, "")
    return code


def wait_for_identity(path: Path, *, stop: Callable[[], bool]) -> None:
    """The uplink of a station that is not set up: redeem what the scan process reads, until one is good."""
    board = loader.load_board(path)
    identity.tidy(board.state.dir)
    _log.info(line("waiting-for-provisioning"))
    notifier = Notifier()
    while not stop() and not identity.is_there(board.state.dir):
        notifier.ready("waits to be set up")
        notifier.alive()
        tend(path, board.state.runtime_dir, notifier.alive)
        time.sleep(ROUND_S)


def renew_if_due(config: Config, now: Moment) -> bool:
    """A new key and certificate once two thirds of the present one's life are over; a failure is tried again later.

    Returns:
        Whether they are there.
    """
    valid = identity.validity(config.state.dir)
    if valid is None or config.trust.enrolment is None or now.quality is ClockQuality.UNSET:
        return False
    if now.wall_ns / 1e9 < valid.from_s + RENEW_SHARE * (valid.until_s - valid.from_s):
        return False
    folder = identity.folder_in(config.state.dir)
    try:
        key = identity.pending_key(config.state.dir, identity.certificate_hash(config.state.dir))
        answer = enrolment.renewed(config.trust.enrolment, folder, config.kiosk.id, key, config.state.runtime_dir)
        identity.renew(config.state.dir, key, answer.certificate)
        keys = _newest_keys(config, answer.authority_keys)
        if keys is not None:
            identity.write(folder / identity.AUTHORITY_KEYS, keys, identity.SHARED)
    except ProvisionError as error:
        _log.warning(line("certificate-not-renewed", reason=error))
        return False
    _log.info(line("certificate-renewed"))
    return True


def _newest_keys(config: Config, come: bytes | None) -> bytes | None:
    """The authority's list that is in force from now on: the one that has come, if the authority has signed it and it is not older than the one here.

    Args:
        config: The station's settings.
        come: What the centre's answer has; None if it has none.
    """
    path = identity.folder_in(config.state.dir) / identity.AUTHORITY_KEYS
    try:
        authority = authority_keys.authority_key(config.seal.authority_file)
        return authority_keys.newest(come, path, authority)
    except SealError as error:
        _log.warning(line("key-list-refused", reason=error))
        return None


def warnings(config: Config, now: Moment) -> list[str]:
    """What will keep the station from the centre if nobody acts: "certificate-expiring", "certificate-expired"."""
    valid = identity.validity(config.state.dir)
    if valid is None or now.quality is ClockQuality.UNSET or valid.kiosk != config.kiosk.id:
        return []
    now_s = now.wall_ns / 1e9
    if now_s >= valid.until_s:
        return ["certificate-expired"]
    return ["certificate-expiring"] if now_s > valid.from_s + WARN_SHARE * (valid.until_s - valid.from_s) else []


def _mark(runtime_dir: Path, name: str, state: str, number: int, reason: str) -> None:
    boot_ns = SystemClock().boot_ns()
    marks = {"written_boot_ns": boot_ns, "code": name, "state": state, "number": number, "reason": reason}
    health.write_marks(runtime_dir, MARKS, marks)


def _settings_of(code: ProvisioningCode, folder: Path) -> dict[str, object]:
    """What a code says, as sections of `kiosk.yaml`."""
    tls = {"ca_file": folder / identity.CA, "cert_file": folder / identity.KEY, "key_file": folder / identity.KEY}
    return {
        "kiosk": {"id": code.kiosk, "site": code.site},
        "lanes": [{"name": name, "direction": direction.value} for name, direction in code.lanes],
        "uplink": {
            "brokers": [f"mqtts://{code.broker}"],
            # The authority is the fleet's own: before the clock is set, its word is enough.
            "tls": {name: str(file) for name, file in tls.items()} | {"while_clock_unset": "ignore-dates"},
        },
        "trust": {"enrolment": code.enrolment},
        **({} if code.zone == forms.DEFAULT_ZONE else {"clock": {"zone": code.zone}}),
    }
