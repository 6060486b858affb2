"""`central pass`: an office's own passes: its key, passes on cards and phones, and the signed list of what is revoked.

What a station needs are two files in its trust folder: the public key in `passes/`, the list in `revoked/`.
"""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central import paper
from central.commands import options as shared
from central.keys import signing_key
from central.ledgers import export
from central.passes import phone_page
from central.passes.registry import Issued, PassRegistry
from kiosk.cli import values, words
from kiosk.cli.words import Action
from kiosk.credential import personal_pass, trust
from kiosk.disk import durable
from kiosk.envelopes import cose
from kiosk.errors import ConfigError, TrustError

if TYPE_CHECKING:
    from datetime import tzinfo

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from kiosk.cli.words import Parser

MOST_DAYS = 3660
MOST_REVOKED = 19_000
"""What one signed list has room for."""
_KEY_HINT = "`central pass key --out FILE` makes one"


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action("key", "make the issuer's key; its public half goes to the stations", _key, _add_key),
            Action("issue", "issue a pass", _issue, _add_issue),
            Action("page", "write the page on which phones show moving passes, for a web server", _page, _add_page),
            Action("revoke", "revoke a pass; then sign a new list of revocations", _revoke, _add_revoke),
            Action("list", "the passes that were issued", _list, _add_list),
            Action("revocations", "sign the list of what is revoked, for the stations", _revocations, _add_revocations),
        ),
    )


def _add_registry(parser: Parser) -> None:
    parser.add_argument(
        "--registry",
        type=Path,
        default=Path("passes.db"),
        metavar="FILE",
        help="the register of issued passes (default: %(default)s)",
    )


def _add_signing(parser: Parser) -> None:
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the issuer's private key, PEM")


def _add_key(parser: Parser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the private half; the other is NAME.pub.pem"
    )


def _add_issue(parser: Parser) -> None:
    _add_registry(parser)
    _add_signing(parser)
    parser.add_argument("--number", required=True, metavar="TEXT", help="the holder's number at the office")
    parser.add_argument("--name", metavar="TEXT", help="the holder's name (default: the pass has none)")
    parser.add_argument(
        "--birth-year", type=values.whole(1900, 2100), metavar="YEAR", help="the holder's year of birth"
    )
    parser.add_argument(
        "--days",
        type=values.whole(1, MOST_DAYS),
        required=True,
        metavar="N",
        help=f"it holds until the end of this day from today in the office's zone, 1 to {MOST_DAYS}",
    )
    parser.add_argument(
        "--holder-key",
        metavar="DIGITS|FILE",
        help="a moving pass: the number on the phone's page, or its public Ed25519 key in PEM",
    )
    parser.add_argument(
        "--page", metavar="URL", help="where the page of `pass page` is: the code becomes a link to it, for the phone"
    )
    parser.add_argument("--office", metavar="TEXT", help="the office's name, printed on the card (default: none)")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="a card of 85.6 x 54 mm")
    parser.add_argument("--png", type=Path, metavar="FILE", help="a picture of the code")
    shared.add_zone(parser)


def _add_page(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where its files go")


def _add_revoke(parser: Parser) -> None:
    _add_registry(parser)
    parser.add_argument("id", type=_pass_id, metavar="ID", help="number of the pass, as on the card: P123")


def _add_list(parser: Parser) -> None:
    _add_registry(parser)
    shared.add_zone(parser)


def _add_revocations(parser: Parser) -> None:
    _add_registry(parser)
    _add_signing(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the list, NAME.cose")


def _key(arguments: argparse.Namespace) -> int:
    private: Path = arguments.out
    public = private.with_name(f"{private.stem}.pub.pem")
    signing_key.make(private, public)
    print(f"the issuer's key is in {private}; stations get {public} into passes/ of their trust folder")
    return 0


def _issue(arguments: argparse.Namespace) -> int:
    key = signing_key.load(arguments.key, _KEY_HINT)
    holder_key = None if arguments.holder_key is None else _phone(arguments.holder_key)
    if holder_key is not None and arguments.pdf is not None:
        raise ConfigError("a moving pass is refused from a card", hint="leave out --pdf, or --holder-key")
    if arguments.page is not None and holder_key is None:
        raise ConfigError("the page shows moving passes only", hint="leave out --page, or give the --holder-key")
    page = None if arguments.page is None else phone_page.checked_url(arguments.page)
    now_s = int(time.time())
    with PassRegistry(arguments.registry) as registry:
        holder = personal_pass.Holder(
            number=registry.free_number(),
            expires_s=_end_of_day_s(now_s, arguments.days, arguments.zone),
            holder_number=arguments.number,
            name=arguments.name,
            birth_year=arguments.birth_year,
            key=holder_key,
        )
        envelope = _signed(holder, key)
        code = personal_pass.code_of(envelope) if page is None else phone_page.link(page, envelope)
        drawn: list[tuple[Path, bytes]] = []
        if arguments.pdf is not None:
            drawn.append((arguments.pdf, paper.pdf("Thẻ ra vào", _words(holder, arguments), code, "card")))
        if arguments.png is not None:
            drawn.append((arguments.png, paper.png(code)))
        issuer = cose.key_id(key.public_key())
        # Before anybody has the code: a pass that is not in the register could not be revoked.
        registry.add(Issued(holder.number, issuer, arguments.number, now_s, holder.expires_s))
    for path, content in drawn:
        _write(path, content, 0o600)
    print(f"pass P{holder.number} expires={shared.day_at(holder.expires_s, arguments.zone)}")
    print(code)
    return 0


def _page(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.out
    files = phone_page.files()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}", hint="name another folder") from error
    for name, content in files.items():
        _write(folder / name, content, 0o644)
    print(f"{folder}: index.html and what it needs; serve the folder over https, or give away index.html alone")
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    with PassRegistry(arguments.registry, existing=True) as registry:
        fresh = registry.revoke(arguments.id, int(time.time()))
    print(f"pass P{arguments.id} {'is revoked' if fresh else 'was revoked before'}; stations learn it from a new list")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    now_s = time.time()
    with PassRegistry(arguments.registry, existing=True) as registry:
        passes = registry.passes()
    for each in passes:
        state = "revoked" if each.revoked_s is not None else "expired" if each.expires_s < now_s else "valid"
        print(
            f"P{each.number} {state} issued={shared.day_at(each.issued_s, arguments.zone)} "
            f"expires={shared.day_at(each.expires_s, arguments.zone)} "
            f"issuer={each.issuer.hex()} number={export.printable(each.holder)}"
        )
    return 0


def _revocations(arguments: argparse.Namespace) -> int:
    if arguments.out.suffix != ".cose":
        raise ConfigError(f"stations read no list named {arguments.out.name}", hint="name it NAME.cose")
    key = signing_key.load(arguments.key, _KEY_HINT)
    with PassRegistry(arguments.registry, existing=True) as registry:
        numbers = registry.revoked(cose.key_id(key.public_key()))
    if len(numbers) > MOST_REVOKED:
        raise ConfigError(
            f"{len(numbers)} revoked passes do not fit into one list of {MOST_REVOKED}",
            hint="issue with a new key, and take the old one off the stations",
        )
    message = cose.sign({cose.IAT: int(time.time()), trust.PASS_NUMBERS: numbers}, key, trust.REVOKED)
    _write(arguments.out, message, 0o644)
    print(f"{arguments.out}: revoked={len(numbers)}; stations get it into revoked/ of their trust folder")
    return 0


def _signed(holder: personal_pass.Holder, key: Ed25519PrivateKey) -> bytes:
    """The envelope, read back as a station reads it: what no station takes is not issued."""
    public = key.public_key()
    envelope = personal_pass.issued(holder, key)
    claims = cose.verify(envelope, {cose.key_id(public): public}, personal_pass.PURPOSE)
    if personal_pass.holder_of(claims) != holder:
        raise ConfigError("--number or --name is no plain text", hint="1 to 160 letters, no control characters")
    return envelope


def _end_of_day_s(now_s: int, days: int, office: tzinfo) -> int:
    """The last second of the office's day that comes so many days after today: a card says the day, and it holds through it."""
    following = datetime.fromtimestamp(now_s, office).date() + timedelta(days=days + 1)
    return int(datetime.combine(following, clock_time(), office).timestamp()) - 1


def _words(holder: personal_pass.Holder, arguments: argparse.Namespace) -> list[str | paper.Fact]:
    """What a person reads on the card. The register keeps no names and no pictures, so a card has no photograph."""
    ends = datetime.fromtimestamp(holder.expires_s, arguments.zone)
    facts = {
        "Họ tên": holder.name,
        "Năm sinh": holder.birth_year,
        "Số": holder.holder_number,
        "Thẻ": f"P{holder.number}",
        "Có giá trị đến": f"{ends:%d/%m/%Y}",
    }
    return [
        *([arguments.office] if arguments.office else []),
        *(paper.Fact(label, str(value)) for label, value in facts.items() if value is not None),
    ]


def _phone(given: str) -> bytes:
    if phone_page.is_phone_number(given):
        return phone_page.phone_key(given)
    path = Path(given)
    try:
        return trust.pass_key(path.read_bytes()).public_bytes(Encoding.Raw, PublicFormat.Raw)
    except OSError as error:
        raise ConfigError(f"--holder-key: {path}: {error.strerror}") from error
    except TrustError as error:
        hint = "the number on the phone's page, or its public Ed25519 key in PEM"
        raise ConfigError(f"--holder-key: {path}: {error.args[0]}", hint=hint) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        durable.replace(path, content, mode)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name another file") from error


def _pass_id(text: str) -> int:
    if not re.fullmatch(r"P?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError("a pass's number is P and digits, as on the card")
    return int(text.removeprefix("P"))
