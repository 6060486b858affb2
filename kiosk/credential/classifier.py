"""Which class of code these bytes are, in a fixed order: the more certain the sign, the earlier it is asked for.

    signed families by their prefix → national personal QR → citizen card → BHYT → the office's own cards
    → damaged (begins like one of those and breaks its grammar) → payment, link → unknown

Every format answers with a `Credential`, with `Malformed` if the code begins like it and breaks its grammar, or with
None. A code that one format calls damaged may still be a sound card of the office's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.credential import bhyt, citizen_card, hc1, national_qr, nzcp, other, personal_pass, shc
from kiosk.credential.fields import tidy
from kiosk.credential.trust import Trust
from kiosk.model import Credential, Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kiosk.credential.local import LocalPattern
    from kiosk.model import Verdict

_BOM = "\ufeff".encode()
_EDGES = b"\r\n\0"
_SIGNED: dict[bytes, Callable[[bytes, Trust, float | None], Verdict]] = {
    module.PREFIX: module.parse for module in (hc1, shc, nzcp, personal_pass)
}
NOBODY = Trust()
"""No signature is believed."""
_FORMATS = (national_qr.parse, citizen_card.parse, bhyt.parse)


def classify(
    payload: bytes, local: Sequence[LocalPattern] = (), trust: Trust = NOBODY, now_s: float | None = None
) -> Verdict:
    """What this code is; a signed one also whether it is genuine and current.

    Args:
        payload: The code's bytes as they are in the symbol.
        local: Cards of the office's own, tried in order.
        trust: Whose signatures are believed; by default nobody's.
        now_s: Now, in Unix seconds; None if the clock was never set.
    """
    code = stripped(payload)
    for prefix, parse_signed in _SIGNED.items():
        if code.startswith(prefix):
            return parse_signed(code, trust, now_s)
    try:
        text = code.decode("utf-8")
    except UnicodeDecodeError:
        return _undecodable(code)
    fields = [tidy(field) for field in text.split("|")]
    damaged: Malformed | None = None
    for parse in _FORMATS:
        verdict = parse(fields)
        if isinstance(verdict, Credential):
            return verdict
        damaged = damaged or verdict
    for pattern in local:
        credential = pattern.parse(text)
        if credential is not None:
            return credential
    return damaged or other.kind_of(code)


def stripped(payload: bytes) -> bytes:
    """The code without what printers and encoders leave at its ends: byte order marks, CR, LF, NUL."""
    code = payload.strip(_EDGES)
    while code.startswith(_BOM) or code.endswith(_BOM):
        code = code.removeprefix(_BOM).removesuffix(_BOM).strip(_EDGES)
    return code


def _undecodable(code: bytes) -> Verdict:
    """A card whose letters are broken is damaged; anything else that is no UTF-8 is unknown."""
    verdict = citizen_card.parse(code.decode("utf-8", "replace").split("|"))
    return Malformed(verdict.document, "encoding") if verdict is not None else other.kind_of(code)
