"""People who do not exist, and the codes they carry, in every format of `kiosk.credential`.

Seeded: the same seed makes the same people. Names, addresses and numbers are put together from common parts.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.model import Sex

if TYPE_CHECKING:
    from random import Random

_FAMILY = "Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý Tôn-Thất".split()
_MIDDLE = {
    Sex.MALE: "Văn Hữu Đức Minh Quốc Xuân Bảo Gia".split(),
    Sex.FEMALE: "Thị Ngọc Thanh Thùy Khánh Mỹ Phương Kỳ".split(),
}
_GIVEN = (
    "An Ánh Bình Châu Cường Dũng Đạt Giang Hằng Hiếu Hòa Hương Khôi Lượng Mẫn Nghĩa Nguyệt Phúc Quỳnh Sơn Thắng Trường "
    "Tuấn Uyên Vượng Ý Yến Nhật Thảo Kiều"
).split()
_STREETS = (
    "Trần Hưng Đạo", "Lê Lợi", "Nguyễn Huệ", "Điện Biên Phủ", "Cách Mạng Tháng Tám", "Hai Bà Trưng", "Phạm Ngũ Lão",
    "Lý Thường Kiệt", "Tôn Đức Thắng", "Võ Thị Sáu",
)  # fmt: skip
_COMMUNES = ("Phong An", "Phong Hiền", "Phong Mỹ", "Phong Xuân", "Điền Hải", "Điền Lộc", "Phong Thu", "Phong Sơn")
_TOWNS = ("Phong Điền", "Quảng Điền", "Hương Trà", "Phú Vang", "Thành phố Huế")
_PROVINCES = {
    "046": "Thừa Thiên Huế",
    "001": "Hà Nội",
    "048": "Đà Nẵng",
    "079": "Thành phố Hồ Chí Minh",
    "092": "Cần Thơ",
}
_PLAIN = str.maketrans("đĐ", "dD")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented."""

    number: str
    name: str
    year: int
    month: int
    day: int
    sex: Sex
    address: str
    old_number: str


def somebody(random: Random) -> Person:
    """A person whose number, sex and birth agree."""
    sex = random.choice((Sex.MALE, Sex.FEMALE))
    year, month, day = random.randint(1940, 2008), random.randint(1, 12), random.randint(1, 28)
    province = random.choice(tuple(_PROVINCES))
    century_and_sex = (2 if year >= 2000 else 0) + (sex is Sex.FEMALE)
    number = f"{province}{century_and_sex}{year % 100:02d}{random.randrange(10**6):06d}"
    words = [random.choice(_FAMILY), *random.choices(_MIDDLE[sex], k=random.choice((1, 1, 2))), random.choice(_GIVEN)]
    house = f"Số {random.randint(1, 399)} {random.choice(_STREETS)}, " if random.random() < 0.5 else ""
    place = f"{random.choice(_COMMUNES)}, {random.choice(_TOWNS)}, {_PROVINCES[province]}"
    old_number = f"{random.randrange(10**9):09d}" if random.random() < 0.5 else ""
    return Person(number, " ".join(words), year, month, day, sex, f"{house}{place}", old_number)


def citizen_card(person: Person, random: Random, *, new: bool = False) -> str:
    """What the card's code says: CCCD, or Căn cước of 2024 with its four more fields."""
    year = random.choice((2024, 2025, 2026)) if new else random.choice((2021, 2022, 2023))
    issued = f"{random.randint(1, 28):02d}{random.randint(7, 12) if new else random.randint(1, 12):02d}{year}"
    sex = "Nam" if person.sex is Sex.MALE else "Nữ"
    birth = f"{person.day:02d}{person.month:02d}{person.year}"
    fields = [person.number, person.old_number, person.name, birth, sex, person.address, issued]
    return "|".join([*fields, "", "", "", ""] if new else fields)


def national_qr(person: Person, random: Random, *, masked: bool = True) -> str:
    """What the national personal code says, as apps show it."""
    number = f"******{person.number[6:]}" if masked else person.number
    birth = f"{person.year}-**-**" if masked else f"{person.year}-{person.month:02d}-{person.day:02d}"
    sex = "1" if person.sex is Sex.MALE else "2"
    return f"{number}|{plain(person.name).upper()}|{birth}|0|{random.randrange(10**17, 10**18)}|<{sex}<<"


def bhyt(person: Person, random: Random) -> str:
    """What the health-insurance card says."""
    number = f"{random.choice(('DN', 'HC', 'GD', 'HT'))}{random.randrange(10**13):013d}"
    birth = f"{person.day:02d}/{person.month:02d}/{person.year}"
    sex = "1" if person.sex is Sex.MALE else "2"
    hex_name, hex_address = person.name.encode().hex(), person.address.encode().hex()
    return f"{number}|{hex_name}|{birth}|{sex}|{hex_address}|46 - 015|01/01/2026|-|01/01/2026|{random.randrange(10**14):014d}|-|4|$"


def plain(text: str) -> str:
    """Without diacritics, as the national code writes names."""
    letters = unicodedata.normalize("NFD", text.translate(_PLAIN))
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).replace("-", " ")
