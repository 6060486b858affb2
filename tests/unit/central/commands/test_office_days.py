"""Days and times that people type and read are the office's; what programs read says its zone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.__main__ import main
from central.commands import options, passes
from central.keys.keystore import KeyStore
from central.ledgers.ledger import Opening
from central.ledgers.sqlite import SqliteLedger
from kiosk.delivery.wire import Batch
from kiosk.envelopes.seal import CLASSIC
from kiosk.model import Entry

HUE = ZoneInfo("Asia/Ho_Chi_Minh")
BERLIN = ZoneInfo("Europe/Berlin")
DAY = datetime(2026, 12, 1, tzinfo=HUE)
"""An office's day: its first entry is of the day before in UTC."""


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1e9)


@pytest.fixture
def ledger(tmp_path: Path, make_entry: Callable[..., Entry]) -> str:
    """Entries at the edges of an office's day: the last before it, the first and the last of it, the first after it."""
    moments = [DAY - timedelta(seconds=1), DAY, DAY + timedelta(hours=23, minutes=59), DAY + timedelta(days=1)]
    entries = [make_entry(number) for number in range(1, 5)]
    dated = [replace(one, at=replace(one.at, wall_ns=_ns(at))) for one, at in zip(entries, moments, strict=True)]
    kept = SqliteLedger(tmp_path / "ledger.db")
    kept.store([Batch("test-1", UUID(int=1), tuple(enumerate(dated, 1)))], [], _ns(DAY))
    kept.close()
    return str(tmp_path / "ledger.db")


@pytest.mark.parametrize("machine", ["UTC", "America/Los_Angeles"])
@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        (["--since", "2026-12-01", "--until", "2026-12-02"], [2, 3]),
        (["--since", "2026-12-01T00:00", "--until", "2026-12-01T23:59"], [2]),
        (["--since", "2026-12-01", "--zone", "UTC"], [3, 4]),
        (["--zone", "UTC", "--until", "2026-12-01"], [1, 2]),
        (["--since", "2026-12-01T00:00+00:00"], [3, 4]),
        (["--since", "2026-11-30T17:00Z", "--until", "2026-12-01T17:00Z"], [2, 3]),
        (["--since", "2026-12-01", "--zone", "+07:00"], [2, 3, 4]),
    ],
)
def test_day_is_the_offices(
    words: list[str], seqs: list[int], machine: str, ledger: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """From its midnight to the next, wherever the centre's machine believes to be; a zone that is typed counts."""
    monkeypatch.setenv("TZ", machine)
    assert main(["entries", "--ledger", ledger, "--format", "json", *words]) == 0
    assert [int(json.loads(line)["seq"]) for line in capsys.readouterr().out.splitlines()] == seqs


def test_zone_of_the_office_may_come_from_the_environment(
    ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an option is stronger than that; one that is none is told, and how one is written."""
    monkeypatch.setenv("KIOSK_ZONE", "Europe/Berlin")
    assert main(["entries", "--ledger", ledger]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("2026-11-30 17:59:59 ")
    assert main(["entries", "--ledger", ledger, "--zone", "UTC"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("2026-11-30 16:59:59 ")
    monkeypatch.setenv("KIOSK_ZONE", "Hue")
    with pytest.raises(SystemExit):
        main(["entries", "--ledger", ledger])
    assert (
        "'Hue' is no time zone; write --zone or KIOSK_ZONE as Asia/Ho_Chi_Minh, or as +07:00" in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["", "Hue", "../etc/passwd", "/etc/passwd", "Asia", "+7", "+25:00", "\0", "GMT+7x"])
def test_what_is_no_zone_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No file outside of the zones is read, no traceback."""
    with pytest.raises(SystemExit):
        main(["entries", f"--zone={name}"])
    assert f"{name!r} is no time zone" in capsys.readouterr().err


def test_table_and_csv_are_read_in_an_office_and_json_by_programs(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A heading with the zone, times of the office; CSV has them with their offset, JSON in UTC: all the same moment."""
    shown = {}
    for form in ("table", "csv", "json"):
        assert (
            main(["entries", "--ledger", ledger, "--format", form, "--since", "2026-12-01", "--until", "2026-12-02"])
            == 0
        )
        shown[form] = capsys.readouterr().out
    heading, first, _ = shown["table"].splitlines()
    assert heading.split() == "at (Asia/Ho_Chi_Minh) kiosk lane direction document number name".split()
    assert first.startswith("2026-12-01 00:00:00 ")
    assert heading.index("kiosk") == first.index("test-1")
    assert heading.index("number") == first.index("000000000002")
    assert next(csv.DictReader(io.StringIO(shown["csv"])))["at"] == "2026-12-01T00:00:00.000+07:00"
    assert json.loads(shown["json"].splitlines()[0])["at"] == "2026-11-30T17:00:00.000+00:00"


def test_openings_speak_in_dates(ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for is kept with its zone; lines from before, which have nanoseconds, are read the same."""
    KeyStore(tmp_path / "authority").make(date(2026, 12, 1), 1, suite=CLASSIC)
    kept = SqliteLedger(Path(ledger))
    kept.note_opening(Opening(_ns(DAY), "clerk", "old case", f"kiosk=a since={_ns(DAY)} until={_ns(DAY) + 1}"))
    kept.note_opening(Opening(_ns(DAY), "clerk", f"since={_ns(DAY)}", "all"))
    kept.close()
    words = ["open", "--ledger", ledger, "--keys", str(tmp_path / "authority"), "--reason", "case 2026/114"]
    assert main([*words, "--since", "2026-12-01", "--until", "2026-12-02T08:00+00:00"]) == 0
    capsys.readouterr()
    assert main(["openings", "--ledger", ledger]) == 0
    heading, old, odd, new, behind = capsys.readouterr().out.splitlines()
    assert heading.split() == ["at", "(Asia/Ho_Chi_Minh)", "who", "which", "shown", "why"]
    assert old.startswith("2026-12-01 00:00 ")
    assert "kiosk=a since=2026-12-01T00:00+07:00 until=2026-12-01T00:00+07:00" in old
    assert odd.endswith(f"since={_ns(DAY)}"), "a reason is left as it was written"
    assert "since=2026-12-01T00:00+07:00 until=2026-12-02T08:00+00:00" in new
    assert heading.index("why") == new.index("case 2026/114")
    assert behind[heading.index("shown")] == "0"


def test_key_of_a_day_holds_from_midnight_to_midnight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the office; the older --utc-offset says the same."""
    folder = ["--keys", str(tmp_path / "authority")]
    assert main(["keys", "make", *folder, "--first", "2026-12-01", "--days", "1"]) == 0
    assert main(["keys", "make", *folder, "--first", "2026-12-02", "--days", "1", "--utc-offset", "+07:00"]) == 0
    first, second = KeyStore(tmp_path / "authority").stored()
    assert first.listed.from_s == DAY.timestamp()
    assert first.listed.until_s == second.listed.from_s
    capsys.readouterr()
    assert main(["keys", "list", *folder]) == 0
    assert "2026-12-01 00:00 to 2026-12-02 00:00" in capsys.readouterr().out


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.sampled_from([HUE, BERLIN, ZoneInfo("Asia/Beirut"), UTC]))
def test_days_of_a_zone_have_no_hole_and_no_overlap(day: date, zone: ZoneInfo) -> None:
    """Also where the clock is put forward at midnight: a day ends when the next begins, and its times are of that day."""
    here, following = (datetime(each.year, each.month, each.day) for each in (day, day + timedelta(days=1)))  # noqa: DTZ001
    starts, ends = options.ns_of(here, zone), options.ns_of(following, zone)
    assert 23 * 3600 * 10**9 <= ends - starts <= 25 * 3600 * 10**9
    assert options.day_at(starts // 10**9 + 7200, zone) == str(day)


@pytest.mark.parametrize("words", [["entries"], ["open", "--reason", "case 1"]])
@pytest.mark.parametrize("option", ["--since", "--until"])
def test_wrong_day_is_one_sentence(words: Sequence[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the right one where it can be guessed."""
    for text, said in (
        ("23/11/2026", "did you mean 2026-11-23?"),
        ("yesterday", "write it as 2026-11-23, or with a time"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*words, option, text])
        assert ended.value.code == 2
        assert f"argument {option}: {text!r} is no day and no time; {said}" in capsys.readouterr().err


AUCKLAND, BEIRUT, CAIRO = ZoneInfo("Pacific/Auckland"), ZoneInfo("Asia/Beirut"), ZoneInfo("Africa/Cairo")
EVENINGS = {
    "an ordinary day": (HUE, date(2026, 12, 1)),
    "new year": (HUE, date(2026, 12, 31)),
    "a leap day": (BERLIN, date(2028, 2, 29)),
    "clocks put forward at two": (AUCKLAND, date(2026, 9, 27)),
    "the day before that": (AUCKLAND, date(2026, 9, 26)),
    "clocks put back at three": (AUCKLAND, date(2027, 4, 4)),
    "the day before that one": (AUCKLAND, date(2027, 4, 3)),
    "a midnight that is left out": (BEIRUT, date(2026, 3, 29)),
    "the day before that midnight": (BEIRUT, date(2026, 3, 28)),
    "a midnight that comes twice": (CAIRO, date(2026, 10, 29)),
    "far west": (ZoneInfo("Pacific/Pago_Pago"), date(2026, 12, 1)),
    "far east": (ZoneInfo("Pacific/Kiritimati"), date(2026, 12, 1)),
}


def _people(ledger: str, make_entry: Callable[..., Entry], moments: Sequence[datetime]) -> None:
    dated = [
        replace(entry := make_entry(seq), at=replace(entry.at, wall_ns=_ns(at))) for seq, at in enumerate(moments, 1)
    ]
    kept = SqliteLedger(Path(ledger))
    kept.store([Batch("test-1", UUID(int=1), tuple(enumerate(dated, 1)))], [], _ns(DAY))
    kept.close()


@pytest.mark.parametrize(
    ("form", "evening"),
    [*(("json", name) for name in EVENINGS)]
    + [(form, "clocks put forward at two") for form in ("table", "csv", "excel-csv", "xlsx")],
)
def test_a_late_person_falls_into_the_day_of_the_office(
    form: str, evening: str, tmp_path: Path, make_entry: Callable[..., Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    """At 23:30 it is that day, at 00:30 the next one, in every export and by every zone's clocks; the days before and after have others."""
    zone, day = EVENINGS[evening]
    late = datetime(day.year, day.month, day.day, 23, 30, tzinfo=zone)
    following = day + timedelta(days=1)
    night = datetime(following.year, following.month, following.day, 0, 30, tzinfo=zone)
    ledger, out = str(tmp_path / "days.db"), tmp_path / f"out.{form}"
    _people(ledger, make_entry, [late, night])
    for first, expected in ((day - timedelta(days=1), []), (day, [late]), (following, [night])):
        words = ["--since", str(first), "--until", str(first + timedelta(days=1)), "--zone", str(zone)]
        assert main(["entries", "--ledger", ledger, *words, "--format", form, "--out", str(out)]) == 0
        times = _times(form, out, zone)
        assert times == [moment.astimezone(UTC).replace(second=0) for moment in expected]
    capsys.readouterr()


def _times(form: str, out: Path, zone: ZoneInfo) -> list[datetime]:
    """When people came, as an export says it."""
    if form == "xlsx":
        book = openpyxl.load_workbook(out)
        cells = [row[0].value for row in book.worksheets[0].iter_rows()][1:]
        book.close()
    elif form == "json":
        cells = [json.loads(line)["at"] for line in out.read_text().splitlines()]
    elif form == "table":
        heading, *lines = out.read_text().splitlines()
        assert heading.startswith(f"at ({zone})")
        return [datetime.fromisoformat(line[:19]).replace(tzinfo=zone).astimezone(UTC) for line in lines]
    else:
        rows = csv.DictReader(io.StringIO(out.read_text("utf-8-sig")), delimiter=";" if form == "excel-csv" else ",")
        cells = [row["at"].strip('="') for row in rows]
    return [datetime.fromisoformat(str(cell)).astimezone(UTC) for cell in cells]


WRONG_TIMES = {
    ("--until", "9999-12-31"): "9999-12-31 is not in these times; name a year from 1970 to 2200",
    ("--since", "0001-01-01"): "0001-01-01 is not in these times; name a year from 1970 to 2200",
    ("--since", "9999-12-31T23:59+00:00"): "9999-12-31 is not in these times; name a year from 1970 to 2200",
    ("--since", "2026-12-01", "--until", "2026-12-01"): (
        "--until 2026-12-01 is not after --since 2026-12-01, and is itself not among what is shown; for the whole of 2026-12-01:"
        " --since 2026-12-01 --until 2026-12-02"
    ),
    ("--since", "2026-12-02", "--until", "2026-12-01T08:00"): "--until 2026-12-01T08:00 is not after --since 2026-12-02",
    ("--since", "2026-09-27T02:30", "--zone", "Pacific/Auckland"): (
        "2026-09-27 02:30 was left out in Pacific/Auckland, where clocks were put forward then; write 2026-09-27T03:30, or the time"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WRONG_TIMES.items(), ids=map(repr, WRONG_TIMES))
@pytest.mark.parametrize("word", ["entries", "open"])
def test_a_time_that_there_is_not_is_named_with_the_remedy(
    word: str, words: tuple[str, ...], said: str, ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a traceback nor an empty list that nobody asked for; and of persons, nothing is noted as opened."""
    KeyStore(tmp_path / "authority").make(date(2026, 12, 1), 1, suite=CLASSIC)
    keys = ["--keys", str(tmp_path / "authority"), "--reason", "case 2026/114"] if word == "open" else []
    assert main([word, "--ledger", ledger, *keys, *words]) == 2
    assert said in capsys.readouterr().err
    kept = SqliteLedger(Path(ledger))
    assert kept.openings() == []
    kept.close()


@pytest.mark.parametrize(("zone", "day"), EVENINGS.values(), ids=EVENINGS)
def test_a_pass_holds_through_the_day_that_stands_on_it(zone: ZoneInfo, day: date) -> None:
    """Issued in the morning or at 23:30, it ends with the last second of the office's day so many days on."""
    for hour in (8, 23):
        issued = datetime(day.year, day.month, day.day, hour, 30, tzinfo=zone)
        ends_s = passes._end_of_day_s(int(issued.timestamp()), 7, zone)
        assert options.day_at(ends_s, zone) == str(day + timedelta(days=7))
        assert options.day_at(ends_s + 1, zone) == str(day + timedelta(days=8))
