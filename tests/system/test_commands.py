"""The command line as a technician meets it: what it does, what it says, and its exit codes."""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np
import openpyxl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from central.__main__ import main as central
from central.ledgers import export
from central.ledgers.sqlite import SqliteLedger
from kiosk import health
from kiosk.__main__ import main as kiosk
from kiosk.clock import SystemClock
from kiosk.commands import read
from kiosk.config import Outbox as OutboxSettings
from kiosk.delivery.wire import Batch
from kiosk.model import ClockQuality, Entry
from kiosk.outbox import Outbox
from kiosk.settings import loader
from kiosk.sim.cards import TRUTH, write_cards
from kiosk.sim.issuers import NOW_S, CardIssuer, HealthAuthority
from kiosk.sim.render import code_picture

COMMANDS = ("demo", "run", "scan", "uplink", "read", "check", "doctor", "aim", "panel", "outbox", "status")
CARD = "046090000123||Nguyễn Văn A|01021990|Nữ|Huế|15062021".encode()
Make = Callable[[int], Entry]


@pytest.fixture
def in_hue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine has no zone, and the door is seven hours ahead by the default of `clock.zone`."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """A configuration file."""

    def write(**sections: object) -> Path:
        values = {
            "kiosk": {"id": "test-1", "site": "office-1"},
            "state": {"dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run")},
            "lanes": [{"camera": {"source": "sim:people=2"}, "panel": {"kind": "none"}}],
            "seal": {"mode": "off"},
            **sections,
        }
        path = tmp_path / "kiosk.yaml"
        path.write_text(yaml.safe_dump(values), "utf-8")
        return path

    return write


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_tells_what_each_command_does(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself."""
    with pytest.raises(SystemExit) as ended:
        kiosk(words)
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS) if words == ["--help"] else "usage: kiosk" in out


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_cards_are_read_byte_for_byte(count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kiosk read --json` over invented cards: all payloads exact, all classes right, no flag."""
    truth = write_cards(tmp_path / "cards", count, seed=7)
    assert kiosk(["read", "--json", str(tmp_path / "cards")]) == 0
    seen = {}
    for line in capsys.readouterr().out.splitlines():
        picture = json.loads(line)
        (code,) = picture["codes"]
        assert code["flags"] == []
        seen[Path(picture["file"]).name] = (base64.b64decode(code["payload_b64"]), code["document"])
    assert seen == truth
    assert json.loads((tmp_path / "cards" / TRUTH).read_text()).keys() == truth.keys()
    payloads = [payload for payload, _ in truth.values()]
    assert sum(b"||" in payload for payload in payloads) > 0.3 * count
    assert min(map(len, payloads)) < 90
    assert max(map(len, payloads)) > 230


def test_reading_says_class_flags_and_masked_holder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a code; the holder is masked; what is no card says what it is."""
    pictures = {
        "a.png": CARD, "b.png": CARD.rsplit(b"|", 1)[0], "c.png": HealthAuthority().code(), "d.png": b"https://x.example/secret",
    }  # fmt: skip
    for name, payload in pictures.items():
        cv2.imwrite(str(tmp_path / name), code_picture(payload, 5))
    cv2.imwrite(str(tmp_path / "e.png"), np.full((200, 200), 255, np.uint8))
    assert kiosk(["read", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == [
        "cccd [sex-differs] *********123 N.V.A. 1990",
        "cccd, damaged (field-count): show it again",
        "hc1, not believed: there are no keys to verify it with; name their folder with --trust",
        "wrong code: link, 24 bytes",
        "no code",
    ]
    assert kiosk(["read", "--json", *(str(tmp_path / name) for name in ("b.png", "c.png", "d.png"))]) == 0
    classes = [json.loads(line)["codes"][0]["class"] for line in capsys.readouterr().out.splitlines()]
    assert classes == ["malformed", "unproven", "wrong-code"]


@pytest.mark.parametrize("order", ["12", "21"])
def test_reading_puts_a_card_in_several_codes_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], order: str
) -> None:
    """The codes of one call are one card, in either order or in one picture; one alone, or of another call, is not."""
    cards = CardIssuer()
    code = cards.shc(cards.shc_claims())
    digits = code.removeprefix(b"shc:/")
    size = len(digits) // 4 * 2
    parts = {"1": b"shc:/1/2/" + digits[:size], "2": b"shc:/2/2/" + digits[size:]}
    drawn = {name: code_picture(part, 4) for name, part in parts.items()}
    height = max(len(picture) for picture in drawn.values())
    level = [np.pad(each, ((0, height - len(each)), (0, 0)), constant_values=255) for each in drawn.values()]
    for name, picture in {**drawn, "both": np.hstack(level)}.items():
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    keys = tmp_path / "keys"
    keys.mkdir()
    options = ["--trust", str(keys), "--at", datetime.fromtimestamp(NOW_S, UTC).isoformat()]
    (keys / "shc-keys.json").write_text(json.dumps({"issuer": {"iss": cards.iss}, "keys": [cards.jwk()]}))

    def read(*names: str) -> list[str]:
        pictures = [str(tmp_path / f"{name}.png") for name in names]
        assert kiosk(["read", *options, *pictures]) == 0
        return capsys.readouterr().out.splitlines()

    whole = read("both")[0].split(": ", 1)[1]
    assert whole.startswith("shc ")
    alone = "shc, one of several codes: the card needs all of them"
    assert [line.split(": ", 1)[1] for line in read(*order)] == [alone, whole]
    assert read(order[1])[0].endswith(alone)
    options.append("--json")
    (told,) = json.loads(read(*order)[1])["codes"]
    assert (base64.b64decode(told["payload_b64"]), told["result"]) == (code, "verified")


def test_reading_judges_by_no_day_that_was_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine whose clock was never set it says that nobody knows, unless a time is named."""
    cards, keys = CardIssuer(), tmp_path / "keys"
    keys.mkdir()
    (keys / "shc-keys.json").write_text(json.dumps({"issuer": {"iss": cards.iss}, "keys": [cards.jwk()]}))
    cv2.imwrite(str(tmp_path / "card.png"), code_picture(cards.shc(cards.shc_claims()), 4))
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)
    for options, told in (([], "time-not-judged"), (["--at", "1970-01-01T00:00+00:00"], "not-yet-valid")):
        assert kiosk(["read", "--trust", str(keys), *options, str(tmp_path / "card.png")]) == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("zone", "text", "second"),
    [
        (None, "2026-11-23T08:00", 1_795_395_600),
        ("Pacific/Auckland", "2026-11-23T08:00", 1_795_374_000),
        ("Pacific/Auckland", "2026-11-23T08:00+07:00", 1_795_395_600),
        (None, "2026-11-23", 1_795_366_800),
    ],
)
def test_expiry_is_judged_at_the_offices_time(
    zone: str | None, text: str, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time that is typed for `kiosk read` is the office's, unless it says its zone, wherever the machine believes to be."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    monkeypatch.delenv("KIOSK_ZONE", raising=False)
    if zone is not None:
        monkeypatch.setenv("KIOSK_ZONE", zone)
    assert read._time(text) == second
    monkeypatch.setenv("KIOSK_ZONE", "Hue")
    with pytest.raises(argparse.ArgumentTypeError, match="KIOSK_ZONE 'Hue' is no time zone"):
        read._time("2026-11-23")


def test_a_broken_file_in_a_folder_is_named_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be opened costs exit code 2 and a sentence, and no other file its line, wherever in the row it stands."""
    picture = code_picture(b"046090000123||Nguyen Van A|01021990|Nam|Hue|15062021", 4)
    assert cv2.imwrite(str(tmp_path / "b.png"), picture)
    assert cv2.imwrite(str(tmp_path / "e.jpg"), picture)
    whole = (tmp_path / "b.png").read_bytes()
    broken = {
        "a.png": whole[: len(whole) // 2],
        "c.png": b"",
        "d.tiff": b"II*\0" + b"\xff" * 40,
        "f.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        "g.gif": b"GIF89a" + bytes(9),
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    assert kiosk(["read", str(tmp_path), str(tmp_path / "none.png"), str(tmp_path / "e.jpg")]) == 2
    told = capsys.readouterr()
    assert [line.split(": ")[0] for line in told.out.splitlines()] == [
        str(tmp_path / name) for name in ("b.png", "e.jpg", "e.jpg")
    ]
    named = [line.removeprefix("kiosk: ").split(" ")[0] for line in told.err.splitlines()]
    assert named == [str(tmp_path / name) for name in (*broken, "none.png")]
    assert kiosk(["read", "--json", str(tmp_path)]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {Path(line["file"]).name for line in lines if "error" in line} == set(broken)
    assert sum(len(line.get("codes", ())) for line in lines) == 2


def test_reading_without_a_code_or_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 if there is no code anywhere, 2 with a sentence if there is no picture."""
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((90, 90), np.uint8))
    assert kiosk(["read", str(tmp_path / "empty.png")]) == 1
    (tmp_path / "text.png").write_text("no picture")
    assert kiosk(["read", str(tmp_path / "text.png")]) == 2
    assert "is no picture that can be decoded; give a picture" in capsys.readouterr().err
    assert kiosk(["read", "/no/such/file"]) == 2
    assert "/no/such/file does not exist" in capsys.readouterr().err


def test_outbox_shows_the_time_that_is_sent(
    written: Callable[..., Path], tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of this boot it is mended by now; of an earlier one, made without a clock, nobody knows it."""
    config, outbox = str(written()), Outbox.open(tmp_path / "state" / "outbox.db", OutboxSettings())
    entry = make_entry(1)
    at = replace(entry.at, wall_ns=1_775_000_000 * 10**9, quality=ClockQuality.UNSET)
    for boot_id in (entry.at.boot_id, "an-earlier-one"):
        outbox.append(replace(entry, at=replace(at, boot_id=boot_id)))
    outbox.close()
    assert kiosk(["outbox", "--config", config, "--json"]) == 0
    mended, lost = json.loads(capsys.readouterr().out)["oldest"]
    assert abs(datetime.fromisoformat(mended["at"]).timestamp() - entry.at.wall_ns / 1e9) <= 2
    assert (lost["at"], lost["clock"]) == (None, "unset")
    assert kiosk(["outbox", "--config", config]) == 0
    assert "\n2  -  unset  main" in capsys.readouterr().out


def test_outbox_shows_what_waits_without_names(
    written: Callable[..., Path], tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers, times and classes; a rotten row is said to be one."""
    config = str(written())
    assert kiosk(["outbox", "--config", config]) == 12
    assert "there is no outbox" in capsys.readouterr().err
    outbox = Outbox.open(tmp_path / "state" / "outbox.db", OutboxSettings())
    for number in range(3):
        outbox.append(make_entry(number))
    outbox.settle(1)
    outbox._file.live().execute("UPDATE entry SET body = x'00' WHERE seq = 3")
    outbox.close()
    assert kiosk(["outbox", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "last_seq 3  settled_seq 1  waiting 2" in out
    assert "Nguy" not in out
    assert kiosk(["outbox", "--config", config, "--json", "--limit", "5"]) == 0
    message = json.loads(capsys.readouterr().out)
    assert [row["seq"] for row in message["oldest"]] == [2, 3]
    assert message["oldest"][1]["rotten_bytes"] == 1
    for text, answer in (
        ("1", "1..1 are"),
        ("1..", "1..1 are"),
        ("1..9", "1..1 are"),
        ("2..3", "nothing of that is settled"),
    ):
        assert kiosk(["outbox", "--config", config, "--resend", text]) == 0
        said = capsys.readouterr()
        assert answer in said.err
        assert "settled_seq 1  waiting 2" in said.out
    for text in ("0", "5..4", "x", "1-2"):
        with pytest.raises(SystemExit, match="2"):
            kiosk(["outbox", "--config", config, "--resend", text])


def test_panel_plays_and_explains_its_cues(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each named cue with its meaning; an unknown one is refused with those there are; real pins are asked for."""
    monkeypatch.setattr("kiosk.commands.panel.PAUSE_S", 0.0)
    monkeypatch.setattr("kiosk.commands.panel.STANDING_S", 0.05)
    config = str(written())
    assert kiosk(["panel", "--config", config, "repeat", "ready"]) == 0
    out = capsys.readouterr().out
    assert "repeat           yellow, two short ticks" in out
    assert "ready            dim white" in out
    assert kiosk(["panel", "--config", config, "party"]) == 2
    assert "there is no cue 'party'; use one of: recorded-in" in capsys.readouterr().err
    config = str(written(lanes=[{"panel": {"kind": "gpio"}}]))
    assert kiosk(["panel", "--config", config]) == 11


@pytest.fixture
def unsignalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run in this process leave its signal handlers alone."""
    monkeypatch.setattr("kiosk.commands.aim.until_signalled", lambda: lambda: False)


def _shown(tmp_path: Path, *pictures: np.ndarray[Any, Any]) -> str:
    folder = tmp_path / "shown"
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return f"folder:{folder}"


@pytest.mark.usefixtures("unsignalled")
def test_aim_says_what_is_in_view_and_whether_it_is_good(
    written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 after a good view and 1 after any other; the code's content is not shown; the lane's buzzer beeps."""
    config = str(written(lanes=[{"panel": {"kind": "mock"}, "camera": {"fps": 120}}]))
    good = np.pad(code_picture(CARD, 5), 150, constant_values=140)
    source = _shown(tmp_path, np.full_like(good, 100), good)
    assert kiosk(["aim", "--config", config, "--camera", source]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("no code in view: hold the test card up | ")
    assert out.splitlines()[-1].startswith("good | 5.0 px a module, code ")
    assert "046090" not in out
    source = _shown(tmp_path, np.full_like(good, 100), np.full_like(good, 100))
    assert kiosk(["aim", "--config", config, "--camera", source, "--silent"]) == 1


@pytest.mark.usefixtures("unsignalled")
def test_aim_ends_after_its_time(written: Callable[..., Path]) -> None:
    """`--seconds`: also while the camera goes on; a panel in words is left alone."""
    config = str(written(lanes=[{"camera": {"source": "sim:people=60"}, "panel": {"kind": "terminal"}}]))
    started_s = time.monotonic()
    assert kiosk(["aim", "--config", config, "--seconds", "1"]) in {0, 1}
    assert 0.9 < time.monotonic() - started_s < 20


@pytest.mark.usefixtures("unsignalled")
def test_aim_refuses_what_is_no_camera(written: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong source is a wrong command line; a Pi's own settings do not spoil another camera."""
    lane = {"camera": {"alternate_exposure_us": 2000, "exposure_us": 9000, "gain": 1.0}, "panel": {"kind": "none"}}
    config = str(written(lanes=[lane]))
    assert kiosk(["aim", "--config", config, "--camera", "webcam"]) == 2
    assert "'webcam' is no source; begin it with one of picamera2:, v4l2:" in capsys.readouterr().err
    assert kiosk(["aim", "--config", config, "--camera", "v4l2:/dev/video99"]) == 10
    assert kiosk(["aim", "--config", config, "--camera", "picamera2:0"]) == 10
    assert "picamera2 is not installed" in capsys.readouterr().err


def test_aim_ends_when_asked(written: Callable[..., Path]) -> None:
    """SIGTERM ends it with the last verdict's exit code and without a traceback."""
    config = written(lanes=[{"camera": {"source": "sim:people=500"}, "panel": {"kind": "mock"}}])
    argv = [sys.executable, "-m", "kiosk", "aim", "--config", str(config)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert " | blur " in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait(30)
    assert process.returncode in {0, 1}
    assert "Traceback" not in errors


def test_doctor_tries_every_hand(
    written: Callable[..., Path],
    broker: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`kiosk doctor` tries camera, panel, lamp, outbox and broker, a line each, and fails if one fails."""
    monkeypatch.setattr("kiosk.service.checkup.STEP_MS", 20)
    monkeypatch.setattr("kiosk.commands.doctor.ANSWER_S", 0.1)
    Outbox.open(tmp_path / "state" / "outbox.db", OutboxSettings()).close()
    config = str(
        written(
            uplink={"brokers": [broker.url]},
            lanes=[{"camera": {"source": "sim:people=1"}, "panel": {"kind": "mock"}, "lamp": {"when": "always"}}],
        )
    )
    assert kiosk(["doctor", "--config", config]) == 0
    out = capsys.readouterr().out
    assert re.search(r"camera main +(?:ok|WARNING): 1280 x 720 px, brightness \d+ of 255, blur \d", out)
    assert re.search(r"panel main +ok: it should have shone red, green, blue, white, then a beep", out)
    assert re.search(r"lamp main +ok: it should have been lit", out)
    assert re.search(r"outbox +ok: 0 entries wait", out)
    assert f"broker {broker.url}\n                     ok: speaks MQTT 5" in out
    assert re.search(r"receipts +WARNING: the uplink does not run; start it", out)
    config = str(written(uplink={"brokers": ["mqtt://127.0.0.1:1"]}, lanes=[{"panel": {"kind": "none"}}]))
    assert kiosk(["doctor", "--config", config, "--json"]) == 1
    found = {line["part"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["camera main"]["health"] == "failed"
    assert found["camera main"]["says"].startswith("picamera2 is not installed; apt install")
    assert "Connection refused" in found["broker mqtt://127.0.0.1:1"]["says"]


def test_lane_must_be_named_where_there_are_two(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names those there are."""
    lanes = [{"name": name, "panel": {"kind": "none"}} for name in ("north", "south")]
    config = str(written(lanes=lanes))
    assert kiosk(["panel", "--config", config]) == 2
    assert "several lanes; name one with --lane: north, south" in capsys.readouterr().err
    assert kiosk(["panel", "--config", config, "--lane", "west"]) == 2
    assert "there is no lane 'west'; use one of: north, south" in capsys.readouterr().err


def test_stalled_camera_ends_the_process_with_its_code(written: Callable[..., Path]) -> None:
    """A camera that cannot be had ends `kiosk scan` with 10 and one sentence, not with a traceback."""
    config = written(lanes=[{"camera": {"source": "v4l2:/dev/video99"}, "panel": {"kind": "terminal"}}])
    argv = [sys.executable, "-m", "kiosk", "scan", "--config", str(config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 10
    assert "kiosk: cannot open the camera /dev/video99" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_starts_both_and_ends_when_asked(written: Callable[..., Path], broker: Any, tmp_path: Path) -> None:
    """`kiosk run`: entries of two lanes reach the ledger; SIGTERM ends everything with 0; status tells of both."""
    lanes = [
        {"name": name, "direction": way, "camera": {"source": f"sim:people=60,seed={seed}"}, "panel": {"kind": "none"}}
        for name, way, seed in (("north", "in", 1), ("south", "out", 2))
    ]
    config = written(uplink={"brokers": [broker.url], "backoff_max_s": 1.0}, status={"every_s": 1}, lanes=lanes)
    ledger_path = tmp_path / "ledger.db"
    centre = subprocess.Popen(
        [sys.executable, "-m", "central", "collect", "--broker", broker.url, "--ledger", str(ledger_path)],
        stderr=subprocess.DEVNULL,
    )
    with (tmp_path / "log").open("wb") as errors:
        process = subprocess.Popen([sys.executable, "-m", "kiosk", "run", "--config", str(config)], stderr=errors)
    try:
        deadline_s = time.monotonic() + 60
        directions: set[str] = set()
        while len(directions) < 2:
            assert time.monotonic() < deadline_s, (tmp_path / "log").read_text()
            time.sleep(0.3)
            if ledger_path.exists():
                ledger = SqliteLedger(ledger_path)
                directions = {f"{row.entry.lane} {row.entry.direction.value}" for row in ledger.entries()}
                ledger.close()
        assert directions == {"north in", "south out"}
        assert kiosk(["status", "--config", str(config)]) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        for each in (process, centre):
            each.terminate()
            each.wait(20)
    log = (tmp_path / "log").read_text()
    assert log.count("scan lane=") > 0
    assert log.isascii(), "a name in the log"
    assert not re.search(r"\b[0-9]{9,12}\b", log), "a number in the log"
    assert kiosk(["status", "--config", str(config), "--json"]) in {0, 1}


@pytest.mark.usefixtures("in_hue")
def test_status_reads_as_a_technician_expects(written: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Days, durations and words; nothing is blank, no nanoseconds; `--json` is what the centre gets."""
    path = written()
    config = loader.load(path)
    Outbox.open(config.state.dir / "outbox.db", config.outbox).close()
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    commands: dict[str, Any] = {"counter": 7, "last": None, "refused": {}, "last_refused": None}
    uplink = {"written_boot_ns": boot_ns, "state": "online", "commands": commands, "trust_issued_s": 1_796_083_200}
    health.write_marks(config.state.runtime_dir, "uplink", uplink)
    marks = {"lane": config.lanes[0].name, "written_boot_ns": boot_ns, "fps": 20.1, "fault": "", "trust_fault": ""}
    health.write_marks(config.state.runtime_dir, f"scan-{config.lanes[0].name}", marks | {"last_scan_wall_ns": None})
    assert kiosk(["status", "--config", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = dict(line.split(None, 1) for line in lines if not line.endswith(":"))
    assert all(re.fullmatch(r" *[a-z0-9_]+(:| +\S.*)", line) for line in lines), "a blank value"
    assert not re.search(r"[0-9]{11}|_ns|boot_id", "\n".join(lines))
    assert (said["state"], said["waiting"], said["fault"], said["last_scan"]) == ("online", "0", "none", "none yet")
    assert (said["counter"], said["refused"], said["trust_list"]) == ("7", "none", "of 2026-12-01 07:00:00+07:00")
    assert re.fullmatch(r"[0-9]+ s ago", said["told"])
    assert re.fullmatch(r"[0-9]+ (d|h|min|s)( [0-9]+ (h|min|s))?", said["machine_up"])
    assert re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\+07:00, ", said["clock"])
    assert kiosk(["status", "--config", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert isinstance(told["at"]["wall_ns"], int)
    assert (told["lanes"][0]["fault"], told["commands"]) == ("", commands)
    health.note_end(config.state.runtime_dir, "uplink")
    assert kiosk(["status", "--config", str(path)]) == 1
    assert "state                    stopped" in capsys.readouterr().out


def test_uplink_that_was_ended_is_not_online(written: Callable[..., Path], broker: Any) -> None:
    """From the moment on at which it has ended in order; not only once its marks are old."""
    path = written(uplink={"brokers": [broker.url]})
    runtime_dir = loader.load(path).state.runtime_dir
    process = subprocess.Popen(
        [sys.executable, "-m", "kiosk", "uplink", "--config", str(path)], stderr=subprocess.DEVNULL
    )
    try:
        deadline_s = time.monotonic() + 60
        while (health.read_marks(runtime_dir, "uplink", health.FRESH_S) or {}).get("state") != "online":
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
    finally:
        process.terminate()
        assert process.wait(20) == 0
    marks = health.read_marks(runtime_dir, "uplink", health.FRESH_S)
    assert marks is not None
    assert (marks["state"], marks["broker"]) == ("stopped", broker.url)


def _ledger_with(tmp_path: Path, *entries: Entry, first: int = 1) -> str:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.store([Batch("test-1", UUID(int=1), tuple(enumerate(entries, first)))], [], 1_800_000_000_000_000_000)
    ledger.close()
    return str(path)


def test_audit_proves_completeness_or_names_the_gap(
    tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and `complete`, or 1 and the missing numbers."""
    path = _ledger_with(tmp_path, make_entry(1), make_entry(2))
    assert central(["audit", "--ledger", path]) == 0
    out = capsys.readouterr().out
    assert "kiosk=test-1" in out
    assert " complete through=2 " in out
    assert "audit streams=1 entries=2 missing=0 doubled=0 set_aside=0" in out
    _ledger_with(tmp_path, make_entry(5), first=5)
    assert central(["audit", "--ledger", path, "--kiosk", "test-1"]) == 1
    out = capsys.readouterr().out
    assert "INCOMPLETE through=2 highest=5 delivered=3 gaps=3-4 " in out
    assert "missing=2" in out
    assert central(["audit", "--ledger", path, "--kiosk", "nobody"]) == 1
    assert central(["audit", "--ledger", str(tmp_path / "none.db")]) == 15
    assert "there is no ledger at" in capsys.readouterr().err


def test_export_runs_in_no_spreadsheet(tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells that a spreadsheet would run are made text; JSON keeps them as they are; a table moves no cursor."""
    bad = replace(make_entry(1), person=(("number", "=cmd|' /C calc'!A0"), ("name", "+1\x1b[2J"), ("qid", "@x")))
    path = _ledger_with(tmp_path, bad, make_entry(2))
    assert central(["entries", "--ledger", path, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (rows[0]["number"], rows[0]["name"], rows[0]["qid"]) == ("'=cmd|' /C calc'!A0", "'+1\x1b[2J", "'@x")
    assert rows[1]["name"] == "Nguyễn Thị Thử"
    assert central(["entries", "--ledger", path, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["qid"] == "@x"
    assert central(["entries", "--ledger", path]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_entry_without_a_time_shows_no_day(
    tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither 1970 nor the day that a station has guessed: it says that its clock was unset, and when it came."""
    entry = make_entry(1)
    guessed = replace(entry.at, wall_ns=1_775_000_000 * 10**9, quality=ClockQuality.UNSET)
    path = _ledger_with(tmp_path, replace(entry, at=guessed))
    assert central(["entries", "--ledger", path, "--format", "csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["at"], row["clock"], bool(row["received"])) == ("", "unset", True)
    assert central(["entries", "--ledger", path, "--format", "json"]) == 0
    assert "at" not in json.loads(capsys.readouterr().out)
    assert central(["entries", "--ledger", path]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["(unset)", "test-1"]


def _runs(text: str) -> bool:
    """Whether a spreadsheet that splits at any of the usual separators finds a cell that it would run."""
    return any(cell.strip()[:1] in tuple("=+-@＝＋－＠") for cell in re.split(r'[,;|\t\r\n"]', text) if cell.strip())


@given(st.text(st.sampled_from("=+-@＝,;|\t\r\n\"' aB1"), max_size=12))
def test_no_cell_runs_at_any_separator(text: str) -> None:
    """Whatever a code has brought, and wherever a spreadsheet splits it, no cell of the CSV begins as a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([export.safe_cell(text), "x"])
    assert not _runs(out.getvalue())
    assert export.safe_cell(text).replace("'", "") == text.replace("'", "")


def test_spreadsheet_holds_texts_only(tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Read back, every cell of the XLSX file is the text that was recorded: no formula, no link, no number, no lost zero."""
    person = (("number", "001090000123"), ("name", '=HYPERLINK("http://x","y")'), ("qid", "@x"), ("phone", "+84 1"))
    path, out = _ledger_with(tmp_path, replace(make_entry(1), person=person), make_entry(2)), tmp_path / "out.xlsx"
    assert central(["entries", "--ledger", path, "--format", "xlsx", "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    book = openpyxl.load_workbook(out)
    (sheet,) = book.worksheets
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert not any(cell.hyperlink for cell in cells)
    heading, first, second = ([cell.value for cell in row] for row in sheet.iter_rows())
    assert tuple(heading) == export.COLUMNS
    record = dict(zip(heading, first, strict=True))
    assert {name: record[name] for name, _ in person} == dict(person)
    assert "Nguyễn Thị Thử" in second
    book.close()
    assert central(["entries", "--ledger", path, "--format", "xlsx"]) == 2
    assert central(["entries", "--ledger", path, "--format", "xlsx", "--out", str(tmp_path)]) == 15
    assert "--out" in capsys.readouterr().err


def test_more_entries_than_a_sheet_has_rows_are_refused(
    tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is cut off silently."""
    monkeypatch.setattr(export, "MOST_ROWS", 1)
    path = _ledger_with(tmp_path, make_entry(1), make_entry(2))
    assert central(["entries", "--ledger", path, "--format", "xlsx", "--out", str(tmp_path / "out.xlsx")]) == 15
    assert "more than 1 entries" in capsys.readouterr().err


def test_export_to_a_file_is_private(tmp_path: Path, make_entry: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """It holds names: only its owner may read it. Times select what is in it."""
    path = _ledger_with(tmp_path, make_entry(1))
    out = tmp_path / "out.csv"
    assert central(["entries", "--ledger", path, "--format", "csv", "--out", str(out), "--since", "2020-01-01"]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert "1 entries written" in capsys.readouterr().out
    assert central(["entries", "--ledger", path, "--until", "2020-01-01T00:00+07:00"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1, "the heading alone"
    assert central(["entries", "--ledger", path, "--out", str(tmp_path)]) == 15


@pytest.mark.parametrize(
    "words", [["collect", "--broker", "http://x"], ["entries", "--since", "soon"], ["audit", "--kiosk", "A/+"], []]
)
def test_wrong_words_at_the_centre_are_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence and an exit code, not a traceback; and nothing has been begun."""
    monkeypatch.chdir(tmp_path)
    try:
        code: object = central(words)
    except SystemExit as ended:
        code = ended.code
    assert code in {2, 13}
    assert capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_output_into_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    """`kiosk read … | head -1` ends quietly."""
    cv2.imwrite(str(tmp_path / "a.png"), code_picture(CARD, 5))
    command = f"{sys.executable} -m kiosk read {' '.join([str(tmp_path / 'a.png')] * 300)} | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False, env=os.environ
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
