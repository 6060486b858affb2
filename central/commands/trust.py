"""`central trust`: whom the stations believe: a folder, signed with the fleet's key, and left at the broker for all of them.

One message for the whole fleet, so that a station that is set up tomorrow gets it as well. The last list that was signed stays
here: its time makes the next one newer, and what it has revoked stays revoked.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.fleet import retained
from central.keys import signing_key
from kiosk.cli import words
from kiosk.cli.words import Action
from kiosk.credential import trust as forms
from kiosk.disk import durable
from kiosk.envelopes import cbor, cose
from kiosk.errors import ConfigError, TrustError
from kiosk.trust import issuers, trust_list

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.cli.words import Parser

_KEY_HINT = "the fleet's key, as `central ca init` or `central command key` made it"


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser, (Action("publish", "sign the folder, and leave it at the broker if one is named", publish, _add),)
    )


def _add(parser: Parser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="with hc1-keys.json, passes/, revoked/ and so on, all of it"
    )
    parser.add_argument("--fleet-key", type=Path, required=True, metavar="FILE", help="the fleet's private key, PEM")
    parser.add_argument(
        "--list",
        type=Path,
        default=Path("trust.list"),
        metavar="FILE",
        help="the list that was signed last, and then the new one (default: %(default)s)",
    )
    parser.add_argument("--broker", metavar="URL", help="leave it here for all stations, mqtt(s)://host:port")
    shared.add_zone(parser)
    shared.add_broker(parser)


def publish(arguments: argparse.Namespace) -> int:
    """Sign the folder; leave it at the broker for the stations, if one is named."""
    key = signing_key.load(arguments.fleet_key, _KEY_HINT, "--fleet-key: ")
    fleet = {cose.key_id(key.public_key()): key.public_key()}
    if not arguments.folder.is_dir():
        raise ConfigError(
            f"{arguments.folder} is no folder", hint="name the trust folder; an empty one believes nobody"
        )
    files = issuers.read(arguments.folder)
    believed = issuers.believed(files, arguments.folder)
    before = _last(arguments.list, fleet)
    issued_s = int(time.time())
    if before is not None:
        _refuse_forgetting(files, before.files)
        issued_s = max(issued_s, before.head.issued_s + 1)
    message = trust_list.sign(files, issued_s, key)
    try:
        durable.replace(arguments.list, message, 0o644)
    except OSError as error:
        raise ConfigError(
            f"--list: cannot write {arguments.list}: {error.strerror}", hint="name another file"
        ) from error
    at = shared.minute_at(issued_s, arguments.zone).replace(" ", "T")
    families = ", ".join(issuers.families(believed)) or "nobody is believed"
    print(f"{arguments.list}: files={len(files)} bytes={len(message)} issued={at}: {families}")
    if arguments.broker:
        head, content = trust_list.parts(message)
        fresh = trust_list.head_of(head, fleet)
        # The content first: whoever sees the head finds it. The old one last: whoever is at it gets the new head.
        messages = [(fresh.content_topic, content), (trust_list.TOPIC, head)]
        if before is not None and before.head.digest != fresh.digest:
            messages.append((before.head.content_topic, b""))
        retained.leave(shared.broker_of(arguments, "central-trust"), messages)
        print(f"left for all stations at {arguments.broker}")
    return 0


def _last(path: Path, fleet: Mapping[bytes, Ed25519PublicKey]) -> trust_list.TrustList | None:
    if not trust_list.is_there(path):
        return None
    try:
        return trust_list.load(path, fleet)
    except TrustError as error:
        hint = "if the fleet's key was changed, move this file away, and see yourself that no revocation is missing"
        raise ConfigError(f"--list: {error.args[0]}", hint=hint) from error


def _refuse_forgetting(files: Mapping[str, bytes], before: Mapping[str, bytes]) -> None:
    """Refuse a folder in which a signer's revocations are older than in the last list, or are missing.

    Raises:
        TrustError: They are; what was revoked would open doors again.
    """
    keys, newest = _revoked_at(files)
    for signer, then_s in _revoked_at(before)[1].items():
        if signer in keys and newest.get(signer, -1) < then_s:
            raise TrustError(
                f"the revocations of {signer.hex()} are older than in the last list, or missing",
                hint="put the newest list of `central pass revocations` into revoked/, or take the key out of passes/",
            )


def _revoked_at(files: Mapping[str, bytes]) -> tuple[dict[bytes, Ed25519PublicKey], dict[bytes, int]]:
    """The keys in these files, and when each has signed its newest list of revocations; 0 for one that does not say."""
    trusted = [forms.pass_key(pem) for name, pem in files.items() if name.startswith("passes/")]
    keys = {cose.key_id(key): key for key in trusted}
    newest: dict[bytes, int] = {}
    for name, message in files.items():
        if name.startswith("revoked/"):
            at_s = cose.verify(message, keys, forms.REVOKED).get(cose.IAT, 0)
            signer = cose.parse(message, cbor.OURS).headers[cose.KID]
            if isinstance(signer, bytes) and isinstance(at_s, int):
                newest[signer] = max(newest.get(signer, 0), at_s)
    return keys, newest
