"""The national personal QR code (Decision 1405/QĐ-BTTTT, 2021, v1.1): PC-Covid's screen, Hue-S's card. Unsigned.

    SoGiayTo|HoTen|NgaySinh|LoaiDinhDanh|QID|EXT
    ******029317|NGUYEN VAN A|1987-**-**|0|162979388586171100|<1<<

The document's number may be masked or empty, month and day of birth may be masked; QID is the person's key, of eighteen
digits: what is shorter is a part of one. EXT is optional, its parts are separated by `<`: declarer's QID, sex, BHYT number,
phone, signature. Apps leave parts out, so phone and BHYT number are found by their shape. Of the sex codes 0, 1 and 2 only
1 (male) is certain; others are not read.
"""

from __future__ import annotations

import re

from kiosk.credential import personal_number
from kiosk.credential.fields import known_birth_of, name_of
from kiosk.model import Credential, Malformed, Sex

NATIONAL_QR = "national-qr"

_FIELD_COUNTS = (5, 6)
_BIRTH_SHAPE = re.compile(r"[0-9]{4}-[0-9*]{2}-[0-9*]{2}")
_NUMBER = re.compile(r"\*{0,20}[0-9A-Z]{0,20}")
_QID = re.compile(r"[0-9]{18}")
_PHONE = re.compile(r"0[0-9]{9}")
_INSURANCE = re.compile(r"[A-Z]{2}[0-9]{13}")
_MOST_PARTS = 5
_LONGEST_EXTENSION = 2000
_DECLARED_BY_ANOTHER = "1"


def parse(fields: list[str]) -> Credential | Malformed | None:
    """The personal code in these fields; None if it does not look like one.

    Args:
        fields: The text between the bars.
    """
    if len(fields) not in _FIELD_COUNTS or fields[3] not in {"0", "1"} or not _BIRTH_SHAPE.fullmatch(fields[2]):
        return None
    number, name_text, birth_text, declared, qid = fields[:5]
    extension = fields[5] if len(fields) > 5 else ""
    name, birth = name_of(name_text), known_birth_of(birth_text)
    parts = extension.split("<")
    if _NUMBER.fullmatch(number) is None:
        return Malformed(NATIONAL_QR, "number")
    if name is None:
        return Malformed(NATIONAL_QR, "name")
    if birth is None:
        return Malformed(NATIONAL_QR, "birth-date")
    if _QID.fullmatch(qid) is None:
        return Malformed(NATIONAL_QR, "qid")
    if len(parts) > _MOST_PARTS or len(extension) > _LONGEST_EXTENSION:
        return Malformed(NATIONAL_QR, "extension")
    sex = Sex.MALE if "1" in parts else None
    flags = personal_number.flags_of(number, birth, sex) if personal_number.is_personal_number(number) else ()
    if declared == _DECLARED_BY_ANOTHER:
        flags = tuple(sorted((*flags, "declared-by-another")))
    return Credential(
        document=NATIONAL_QR,
        number=number or None,
        qid=qid,
        name=name,
        birth=birth,
        sex=sex,
        flags=flags,
        phone=_first(_PHONE, parts),
        insurance=_first(_INSURANCE, parts),
    )


def _first(shape: re.Pattern[str], parts: list[str]) -> str | None:
    return next((part for part in parts if shape.fullmatch(part)), None)
