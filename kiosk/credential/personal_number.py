"""The 12-digit personal number: what it says of its holder, held against what the card says.

    province of birth registration (3) · century and sex (1) · year of birth (2) · random (6); there is no check digit.

A difference is a warning and never a refusal: corrected and cancelled numbers exist. The province codes are those of
Circular 07/2016/TT-BCA; the merger of 2025 (63 provinces → 34) changed nobody's number, so a list of 34 would be wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kiosk.model import Sex

if TYPE_CHECKING:
    from kiosk.model import BirthDate

_NUMBER = re.compile(r"[0-9]{12}")
_PROVINCES = frozenset(
    "001 002 004 006 008 010 011 012 014 015 017 019 020 022 024 025 026 027 030 031 033 034 035 036 037 038 040 042 "
    "044 045 046 048 049 051 052 054 056 058 060 062 064 066 067 068 070 072 074 075 077 079 080 082 083 084 086 087 "
    "089 091 092 093 094 095 096".split()
)
_COUNTRIES = range(101, 296)  # born abroad: the country's code instead of a province's


def is_personal_number(text: str) -> bool:
    """Twelve ASCII digits."""
    return _NUMBER.fullmatch(text) is not None


def flags_of(number: str, birth: BirthDate | None, sex: Sex | None) -> tuple[str, ...]:
    """Where number and card disagree: "province-unknown", "birth-year-differs", "sex-differs".

    Args:
        number: Twelve digits.
        birth: As the card says it; None if it does not.
        sex: As the card says it; None if it does not.
    """
    century_and_sex = int(number[3])
    year = (19 + century_and_sex // 2) * 100 + int(number[4:6])
    flags = []
    if birth is not None and birth.year != year:
        flags.append("birth-year-differs")
    if number[:3] not in _PROVINCES and int(number[:3]) not in _COUNTRIES:
        flags.append("province-unknown")
    if sex is not None and sex is not (Sex.FEMALE if century_and_sex % 2 else Sex.MALE):
        flags.append("sex-differs")
    return tuple(flags)
