"""What each format is, and what is wrong with it."""

from __future__ import annotations

import unicodedata

import pytest

from kiosk.config import LocalCard
from kiosk.credential import classify, compile_local, masked, stripped
from kiosk.errors import ConfigError
from kiosk.model import BirthDate, Credential, Malformed, Sex, WrongCode

CCCD = "046090000123|191234567|Nguyễn Văn A|01021990|Nam|Thôn Đông, Phong An, Phong Điền, Thừa Thiên Huế|15062021"
NATIONAL = "******029317|NGUYEN VAN A|1987-**-**|0|162979388586171100|<1<<"
NAME_HEX = "Nguyễn Thị B".encode().hex()
BHYT = f"DN1234567890123|{NAME_HEX}|05/03/1961|2|-|46 - 015|01/01/2026|-|$"


def _credential(text: str) -> Credential:
    verdict = classify(text.encode())
    assert isinstance(verdict, Credential), verdict
    return verdict


def _changed(text: str, field: int, value: str) -> str:
    fields = text.split("|")
    fields[field] = value
    return "|".join(fields)


def test_citizen_card_is_read_whole() -> None:
    """A CCCD gives number, name, birth and sex, and no warning when they agree."""
    card = _credential(CCCD)
    assert card == Credential("cccd", "046090000123", None, "Nguyễn Văn A", BirthDate(1990, 2, 1), Sex.MALE)
    assert str(card.birth) == "1990-02-01"


@pytest.mark.parametrize(
    ("field", "value"),
    [(1, ""), (1, "123456789012"), (2, "NGUYỄN VĂN A"), (4, "NAM"), (5, ""), (2, "Y"), (2, "H'Hen Niê-A")],
)
def test_citizen_card_as_seen_in_the_wild(field: int, value: str) -> None:
    """Empty or long old numbers, capitals, short names and an empty address are sound."""
    assert _credential(_changed(CCCD, field, value)).document == "cccd"


def test_names_in_decomposed_form_are_composed() -> None:
    """NFD text is accepted and kept in NFC; `Nữ` is known in either form."""
    text = unicodedata.normalize("NFD", _changed(CCCD, 4, "Nữ"))
    card = _credential(text)
    assert card.name == "Nguyễn Văn A"
    assert card.sex is Sex.FEMALE
    assert "sex-differs" in card.flags


@pytest.mark.parametrize("mark", "'’‘‛`´ʼʻ′ꞌˊˋ‐‑–·•./(),")
def test_no_mark_in_a_name_makes_a_card_wrong(mark: str) -> None:
    """Whatever a keyboard writes for a glottal stop, a hyphen or a second name is kept as it stands."""
    for name in (f"H{mark}Hen Niê", f"Y {mark} Bhăm"):
        assert _credential(_changed(CCCD, 2, name)).name == name
        assert _credential(_changed(NATIONAL, 1, name)).name == name
        assert _credential(_changed(BHYT, 1, name.encode().hex())).name == name


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  Nguyễn\u00a0Văn\t\u3000A ", "Nguyễn Văn A"),
        ("Nguyễn\u2028Văn\nA", "Nguyễn Văn A"),
        ("Nguy\u200bễn\ufeff Văn\u200e A\u202e", "Nguyễn Văn A"),
        ("Ngu\u00adyễn\x07 A\x1b[2J", "Nguyễn A[2J"),
        ("N\u200cA", "NA"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("ක්\u200dෂ", "ක්\u200dෂ"),
        ("山田 太郎", "山田 太郎"),
        ("Anne-Marie d’Été 2nd", "Anne-Marie d’Été 2nd"),
    ],
)
def test_name_is_one_line_of_what_can_be_seen(written: str, kept: str) -> None:
    """White space becomes single spaces; control and format characters go, but for joiners that a script needs."""
    assert _credential(_changed(CCCD, 2, written)).name == kept


@pytest.mark.parametrize("letter", ["\u200c", "\u200d", "\u0301", " ", "ً", "ي\u200c"])
def test_endless_name_costs_nothing(letter: str) -> None:
    """Whatever somebody fills a code with: what is far too long is not looked at letter by letter."""
    assert classify(_changed(CCCD, 2, f"A{letter * 100_000}B").encode()) == Malformed("cccd", "name")
    assert classify(_changed(NATIONAL, 2, "1987-" + letter * 100_000).encode()) != classify(NATIONAL.encode())


def test_what_cannot_be_seen_around_a_field_is_not_part_of_it() -> None:
    """A card whose printer left blanks or marks around its fields is the same card."""
    text = "|".join(f"\u200e {field}\u00a0" for field in CCCD.split("|"))
    assert _credential(text) == _credential(CCCD)


def test_card_of_2024_is_can_cuoc_and_its_last_fields_are_never_kept() -> None:
    """Issued since 1 July 2024, with or without four more fields, it is a Căn cước; fields 8 to 11 go nowhere."""
    assert _credential(_changed(CCCD, 6, "30062024")).document == "cccd"
    eleven = _changed(CCCD, 6, "01072024") + "|SECRET1|SECRET2|SECRET3|SECRET4"
    card = _credential(eleven)
    assert card.document == "can-cuoc"
    assert "SECRET" not in repr(card)
    assert all("SECRET" not in str(getattr(card, name)) for name in Credential.__slots__)


@pytest.mark.parametrize(
    ("number", "flags"),
    [
        ("046091000123", ("birth-year-differs",)),
        ("046190000123", ("sex-differs",)),
        ("003090000123", ("province-unknown",)),
        ("101090000123", ()),
        ("296090000123", ("province-unknown",)),
        ("999999999999", ("birth-year-differs", "province-unknown", "sex-differs")),
    ],
)
def test_number_that_disagrees_is_flagged_not_refused(number: str, flags: tuple[str, ...]) -> None:
    """Corrected and cancelled numbers exist: a difference is a warning; countries of birth are known."""
    assert _credential(_changed(CCCD, 0, number)).flags == flags


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CCCD.rsplit("|", 1)[0], "field-count"),
        (CCCD + "|x", "field-count"),
        (_changed(CCCD, 1, "12"), "old-number"),
        (_changed(CCCD, 2, ""), "name"),
        (_changed(CCCD, 2, "1"), "name"),
        (_changed(CCCD, 2, "A" * 101), "name"),
        (_changed(CCCD, 2, "\u200b"), "name"),
        (_changed(CCCD, 2, "-"), "name"),
        (_changed(CCCD, 3, "31022000"), "birth-date"),
        (_changed(CCCD, 3, "1990-02-01"), "birth-date"),
        (_changed(CCCD, 4, "X"), "sex"),
        (_changed(CCCD, 3, "00131990"), "birth-date"),
        (_changed(CCCD, 5, "a" * 401), "address"),
        (_changed(CCCD, 6, "00002021"), "issue-date"),
    ],
)
def test_broken_citizen_card_is_damaged(text: str, reason: str) -> None:
    """A code that begins like a card and breaks its grammar asks to be shown again, and says where it broke."""
    assert classify(text.encode()) == Malformed("cccd", reason)


def test_card_with_broken_letters_is_damaged() -> None:
    """Bytes that are no UTF-8 behind a sound number are a damaged card, elsewhere an unknown code."""
    assert classify(CCCD.encode("utf-16-le")) == WrongCode("unknown", len(CCCD) * 2 - 1)
    assert classify(CCCD.encode().replace(b"V", b"\xff")) == Malformed("cccd", "encoding")
    assert classify(b"\xff\xfe") == WrongCode("unknown", 2)


def test_national_code_keeps_its_masks() -> None:
    """The masked number and the masked date are kept as they are; QID is the person's key."""
    code = _credential(NATIONAL)
    assert code.number == "******029317"
    assert code.qid == "162979388586171100"
    assert str(code.birth) == "1987-**-**"
    assert code.sex is Sex.MALE
    assert code.flags == ()


def test_national_code_finds_phone_and_insurance_by_shape() -> None:
    """Apps leave parts of EXT out; what is there is found by its form."""
    code = _credential("|TRAN THI B|1987-02-**|1|162979388586171100|123456<0<DN1234567890123<0912345678<sig")
    assert code.number is None
    assert code.phone == "0912345678"
    assert code.insurance == "DN1234567890123"
    assert code.sex is None
    assert code.flags == ("declared-by-another",)
    assert _credential(NATIONAL.rsplit("|", 1)[0]).phone is None


def test_national_code_with_an_open_number_is_checked() -> None:
    """A number that is not masked is held against the birth."""
    assert _credential(_changed(NATIONAL, 0, "046090000123")).flags == ("birth-year-differs",)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (0, "12-34", "number"),
        (1, "", "name"),
        (2, "0000-**-**", "birth-date"),
        (4, "abc", "qid"),
        (4, "16297938858617110", "qid"),
        (4, "1629793885861711000", "qid"),
        (5, "<<<<<", "extension"),
        (5, "a" * 2001, "extension"),
    ],
)
def test_broken_national_code_is_damaged(field: int, value: str, reason: str) -> None:
    """The national code's grammar is strict where the decision is."""
    assert classify(_changed(NATIONAL, field, value).encode()) == Malformed("national-qr", reason)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1988-02-29", "1988-02-29"),
        ("1987-02-29", "1987-02-**"),
        ("1987-02-30", "1987-02-**"),
        ("1987-13-**", "1987-**-**"),
        ("1987-00-00", "1987-**-**"),
        ("1987-0*-**", "1987-**-**"),
    ],
)
def test_known_year_is_kept_and_no_impossible_day(written: str, kept: str) -> None:
    """29 February is a day in 1988 and none in 1987; what is known of a birth is kept all the same."""
    assert str(_credential(_changed(NATIONAL, 2, written)).birth) == kept


@pytest.mark.parametrize("birth", ["1961", "00/00/1961", "00001961"])
def test_year_alone_is_a_birth_on_cards(birth: str) -> None:
    """Many who are old know no more, and their cards say so in several ways."""
    assert _credential(_changed(BHYT, 2, birth)).birth == BirthDate(1961)
    assert _credential(_changed(CCCD, 3, birth)).birth == BirthDate(1961)


def test_insurance_card_is_read() -> None:
    """Name out of hex, birth as a day or a year, either number."""
    card = _credential(BHYT)
    assert (card.document, card.number, card.name, card.sex) == ("bhyt", "DN1234567890123", "Nguyễn Thị B", Sex.FEMALE)
    assert _credential(_changed(BHYT, 2, "1961")).birth == BirthDate(1961)
    assert _credential(_changed(BHYT, 0, "1234567890")).document == "bhyt"
    assert _credential(_changed(BHYT, 4, "Huế".encode().hex())).document == "bhyt"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (1, "abc", "name"),
        (1, "ff", "name"),
        (1, "31", "name"),
        (2, "31/02/1961", "birth-date"),
        (3, "3", "sex"),
        (4, "zz", "address"),
        (4, "ff", "address"),
        (8, "", "field-count"),
    ],
)
def test_broken_insurance_card_is_damaged(field: int, value: str, reason: str) -> None:
    """A truncated or garbled BHYT code asks to be shown again."""
    assert classify(_changed(BHYT, field, value).encode()) == Malformed("bhyt", reason)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (b"HC1:6BF+70790", Malformed("hc1", "deflate")),
        (b"shc:/5676290", Malformed("shc", "digits")),
        (b"NZCP:/1/2KCEVIQ", Malformed("nzcp", "envelope")),
        (b"00020101021238", WrongCode("payment", 14)),
        (b"HTTPS://a.example", WrongCode("link", 17)),
        (b"http://a.example/x", WrongCode("link", 18)),
        (b"hello", WrongCode("unknown", 5)),
        (b"", WrongCode("unknown", 0)),
        (b"046090000123", WrongCode("unknown", 12)),
        (b"1234567890|zz|x|1", WrongCode("unknown", 17)),
        (b"1234567890", WrongCode("unknown", 10)),
    ],
)
def test_other_codes_are_named(code: bytes, verdict: object) -> None:
    """Signed families by their prefix; payments and links are wrong codes; of the unknown only the length is kept."""
    assert classify(code) == verdict


def test_edges_are_stripped_before_anything_else() -> None:
    """Byte order marks, CR, LF and NUL at both ends, in any order, are no part of a code."""
    bom = "\ufeff".encode()
    assert stripped(bom + b"\r\n" + bom + b"a b\0\n" + bom + b"\0") == b"a b"
    assert _credential("\ufeff" + CCCD + "\r\n").name == "Nguyễn Văn A"


def test_local_cards_are_matched_by_their_declaration() -> None:
    """Places are found between their texts; a card that does not fit is not taken for it."""
    local = compile_local(
        [
            LocalCard(document="staff", pattern="NV|{number}|{name}|{birth}|{any}!"),
            LocalCard(document="guest", pattern="https://office.example/{qid}"),
        ]
    )
    staff = classify("NV|A-17|Trần Thị C|01021990|x!".encode(), local)
    assert staff == Credential("staff", "A-17", None, "Trần Thị C", BirthDate(1990, 2, 1))
    assert classify(b"https://office.example/K7", local) == Credential("guest", qid="K7")
    for text in ("NV|A-17|1|01021990|x!", "NV|A 17|A|01021990|x!", "NV|A|B|1|x!", "NV|A|B|1987-**-**|\x01!", "NV|A!"):
        assert isinstance(classify(text.encode(), local), WrongCode), text
    assert isinstance(classify(b"NV|A|B|1987-**-**|x", local), WrongCode)
    assert isinstance(classify(b"NV|A|B|1987-**-**|x!", local), Credential)


def test_local_card_may_begin_like_a_known_one() -> None:
    """What a known format calls damaged may still be the office's own card."""
    local = compile_local([LocalCard(document="badge", pattern="{number}|badge|{name}")])
    verdict = classify(b"046090000123|badge|An", local)
    assert isinstance(verdict, Credential)
    assert verdict.document == "badge"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("NV|{nr}|{number}", "unknown place"),
        ("NV|{number}{name}", "without text between"),
        ("NV|{any}", "none of"),
        ("{number}x", "fewer than two"),
        ("NV|{number}|{number}", "twice"),
    ],
)
def test_local_pattern_that_cannot_work_is_refused(pattern: str, problem: str) -> None:
    """A declaration that would take any code, or tell nobody apart, is refused with its reason."""
    with pytest.raises(ConfigError, match=problem):
        compile_local([LocalCard(document="x", pattern=pattern)])


def test_masked_holder_tells_too_little_to_know_anyone() -> None:
    """Three characters of the number, initials, the year."""
    assert masked(_credential(CCCD)) == "*********123 N.V.A. 1990"
    assert masked(Credential("x", number="12")) == "**"
    assert masked(Credential("x")) == "-"
