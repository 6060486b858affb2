"""The citizen's card: CCCD with a chip (2021 to June 2024), Căn cước (since 1 July 2024). Plain UTF-8, unsigned.

    soCCCD|soCMND|hoTen|ngaySinh ddMMyyyy|gioiTinh|noiThuongTru|ngayCap ddMMyyyy
    046090000123|191234567|Nguyễn Văn A|01021990|Nam|Thôn Đông, Phong An, Phong Điền, Thừa Thiên Huế|15062021

The card of 2024 carries four more fields whose order nobody has published; they are never looked at. The old number is
empty for most young people. The address never contains `|`. VNeID shows the same string.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from kiosk.credential import personal_number
from kiosk.credential.fields import day_first_birth_of, day_of, name_of
from kiosk.model import Credential, Malformed, Sex

CCCD = "cccd"
CAN_CUOC = "can-cuoc"

_CAN_CUOC_SINCE = date(2024, 7, 1)
_FIELD_COUNTS = (7, 11)
_OLD_NUMBER = re.compile(r"|[0-9]{9}|[0-9]{12}")
_SEXES = {"nam": Sex.MALE, "nữ": Sex.FEMALE, "nu": Sex.FEMALE}
_LONGEST_ADDRESS = 400


def parse(fields: list[str]) -> Credential | Malformed | None:
    """The card in these fields; None if it does not begin like one.

    Args:
        fields: The text between the bars.
    """
    if len(fields) < 2 or not personal_number.is_personal_number(fields[0]):
        return None
    if len(fields) not in _FIELD_COUNTS:
        return Malformed(CCCD, "field-count")
    number, old_number, name_text, birth_text, sex_text, address, issued_text = fields[:7]
    name, birth, issued = name_of(name_text), day_first_birth_of(birth_text), day_of(issued_text)
    sex = _SEXES.get(unicodedata.normalize("NFC", sex_text).casefold())
    if _OLD_NUMBER.fullmatch(old_number) is None:
        return Malformed(CCCD, "old-number")
    if name is None:
        return Malformed(CCCD, "name")
    if birth is None:
        return Malformed(CCCD, "birth-date")
    if sex is None:
        return Malformed(CCCD, "sex")
    if len(address) > _LONGEST_ADDRESS:
        return Malformed(CCCD, "address")
    if issued is None:
        return Malformed(CCCD, "issue-date")
    return Credential(
        document=CAN_CUOC if issued >= _CAN_CUOC_SINCE else CCCD,
        number=number,
        name=name,
        birth=birth,
        sex=sex,
        flags=personal_number.flags_of(number, birth, sex),
    )
