"""Every mistake in a configuration has its own sentence: file, line, column where it matters, key, what is wrong, what to do."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.errors import ConfigError
from kiosk.settings import loader, mistakes, plain_yaml, slips

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = (ROOT / "config" / "kiosk.yaml").read_text("utf-8").split("\n")
KIOSK = "kiosk:\n  id: a-1\n  site: b\n"
LIBRARY_WORDS = re.compile(
    r"tuple|regex|valid|input|pydantic|pattern_|token|mapping|scalar|sequence|constructor|expected|block|node|parsing|scann|stream"
    r"|type|Error|None|dict|\bint\b|\bstr\b|\bbool\b|!!|tag:",
)

VALUES = [
    (KIOSK + "decode: {budget_ms: 1}\n", "FILE:4: decode.budget_ms: 1 is less than 5; give a number from 5 to 2000"),
    (
        KIOSK + "lanes:\n  - direction: up\n",
        "FILE:5: lanes[0].direction: 'up' is none of in, out, pass; use one of those",
    ),
    (
        KIOSK + f"credentials: {{local: [{{document: x, pattern: '{'a' * 201}'}}]}}\n",
        "FILE:4: credentials.local[0].pattern: has more than 200 signs; shorten it",
    ),
    (
        "kiosk:\n  id: Phòng An\n  site: b\n",
        "FILE:2: kiosk.id: 'Phòng An' is not written with only a-z, 0-9 and hyphens, as in phong-an; write phong-an",
    ),
    (
        "kiosk:\n  id: a-1\n  site: 007\n",
        'FILE:3: kiosk.site: 007 is a number to YAML, not a text; put it in quotes: "007"',
    ),
    ("kiosk:\n  id: -a\n  site: b\n", "FILE:2: kiosk.id: '-a' begins or ends with a hyphen; write a"),
    (
        "kiosk:\n  id: a-1\n  site: ''\n",
        "FILE:3: kiosk.site: is empty; write it with only a-z, 0-9 and hyphens, as in phong-an",
    ),
    ("kiosk:\n  id: a-1\n  site:\n", "FILE:3: kiosk.site: is empty; give it a value, or remove the line"),
    (
        "kiosk:\n  id: on\n  site: 2026-01-01\n",
        'FILE:2: kiosk.id: on is a yes or no to YAML, not a text; put it in quotes: "on"\nFILE:3: kiosk.site: 2026-01-01 is a date to YAML, not a text; put it in quotes: "2026-01-01"',
    ),
    ("kiosk:\n  id:a-1\n  site:b\n", "FILE:2: kiosk: no space follows the colon of `id`; write `id: a-1`"),
    ("kiosk:\n  - id: a-1\n  - site: b\n", "FILE:1: kiosk: is a list; leave out the `- ` before its keys"),
    ("kiosk: a-1\n", "FILE:1: kiosk: is a single value; write its keys under it, indented"),
    ("kiosk:\n", "FILE:1: kiosk: is empty; indent what belongs to it, or remove the line"),
    (KIOSK + "lanes:\n  name: main\n", "FILE:4: lanes: is no list; begin each lane with `- `"),
    (KIOSK + "lanes: main\n", "FILE:4: lanes: is no list; begin each lane with `- `"),
    (KIOSK + "lanes: []\n", "FILE:4: lanes: has nothing in it; begin each lane with `- `"),
    (KIOSK + "lanes:\n", "FILE:4: lanes: is empty; indent what belongs to it, or remove the line"),
    (KIOSK + "lanes:\n  - main\n", "FILE:5: lanes[0]: is a single value; write its keys under it, indented"),
    (KIOSK + "lanes:\n  - fps: 3\n", "FILE:5: lanes[0].fps: there is no such key here; write it under `camera`"),
    (
        KIOSK + "lanes:\n  - name: Cửa 1\n",
        "FILE:5: lanes[0].name: 'Cửa 1' is not written with only a-z, 0-9 and hyphens, as in phong-an; write cua-1",
    ),
    (
        KIOSK + "lanes:\n  - panel: {leds: {red_pin: 017}}\n",
        "FILE:5: lanes[0].panel.leds.red_pin: 017 is not written as a plain number; write 17",
    ),
    (
        KIOSK + "lanes:\n  - panel: {leds: {red_pin: 0x11}}\n",
        "FILE:5: lanes[0].panel.leds.red_pin: 0x11 is not written as a plain number; write it with the digits 0 to 9 alone",
    ),
    (
        KIOSK + "lanes:\n  - panel: {leds: {red_pin: 0o17}}\n",
        "FILE:5: lanes[0].panel.leds.red_pin: 0o17 is no whole number; give a number from 2 to 27",
    ),
    (
        KIOSK + "lanes:\n  - panel: {leds: {blue_pin: x}}\n",
        "FILE:5: lanes[0].panel.leds.blue_pin: x is no whole number; give a number from 2 to 27",
    ),
    (
        KIOSK + "lanes:\n  - panel: {leds: {blue_pin: 99}}\n",
        "FILE:5: lanes[0].panel.leds.blue_pin: 99 is more than 27; give a number from 2 to 27",
    ),
    (
        KIOSK + "outbox: {max_entries: 1_000}\n",
        "FILE:4: outbox.max_entries: 1_000 is not written as a plain number; write 1000",
    ),
    (
        KIOSK + "outbox: {max_entries: 12:30:45}\n",
        "FILE:4: outbox.max_entries: 12:30:45 is not written as a plain number; write it with the digits 0 to 9 alone",
    ),
    (KIOSK + "outbox: {keep_h: 24,5}\n", "FILE:4: outbox.5: is no key; remove it, or see docs/configuration.md"),
    (KIOSK + "outbox: {keep_h: 24h}\n", "FILE:4: outbox.keep_h: 24h is no number; write 24 alone"),
    (KIOSK + "outbox: {keep_h: 024.5}\n", "FILE:4: outbox.keep_h: 024.5 is not written as a plain number; write 24.5"),
    (KIOSK + "outbox: {keep_h: .nan}\n", "FILE:4: outbox.keep_h: .nan is no number; give a number from 24 to 720"),
    (
        KIOSK + "outbox: {keep_h: 1:30.5}\n",
        "FILE:4: outbox.keep_h: 1:30.5 is not written as a plain number; write it with the digits 0 to 9 alone",
    ),
    (
        KIOSK + "outbox: {keep_h: 0b11000}\n",
        "FILE:4: outbox.keep_h: 0b11000 is not written as a plain number; write it with the digits 0 to 9 alone",
    ),
    (
        KIOSK + "outbox: {max_entries: '2000'}\n",
        "FILE:4: outbox.max_entries: '2000' is a text to YAML; write 2000 without quotes",
    ),
    (
        KIOSK + "outbox: {max_entries: 2000.5}\n",
        "FILE:4: outbox.max_entries: 2000.5 is no whole number; give a number from 1000 to 50000000",
    ),
    (
        KIOSK + "outbox: {max_entries: yes}\n",
        "FILE:4: outbox.max_entries: yes is no whole number; give a number from 1000 to 50000000",
    ),
    (KIOSK + "outbox: {max_entries: [1]}\n", "FILE:4: outbox.max_entries: is a list; give it one value"),
    (KIOSK + "outbox: {max_entries: }\n", "FILE:4: outbox.max_entries: is empty; give it a value, or remove the line"),
    (KIOSK + "uplink:\n  brokers: mqtt://h\n", "FILE:5: uplink.brokers: is no list; begin each broker with `- `"),
    (
        KIOSK + "uplink:\n  brokers: [mqtt://h:99999]\n",
        "FILE:5: uplink.brokers[0]: '99999' is no port; give one from 1 to 65535",
    ),
    (KIOSK + "uplink:\n  brokers: []\n", "FILE:5: uplink.brokers: has nothing in it; begin each broker with `- `"),
    (
        KIOSK + "uplink:\n  brokers: ['mqtts://u:p@h']\n",
        "FILE:5: uplink.brokers[0]: has a name or a password in it; remove everything up to the @",
    ),
    (
        KIOSK + "uplink:\n  brokers: ['mqtts://fd00::5']\n",
        "FILE:5: uplink.brokers[0]: 'fd00::5' is no host; an IPv6 address goes in brackets, as in [fd00::5]:8883",
    ),
    (
        KIOSK + "uplink:\n  brokers: [5]\n",
        'FILE:5: uplink.brokers[0]: 5 is a number to YAML, not a text; put it in quotes: "5"',
    ),
    (
        KIOSK + "uplink: {compress: 1}\n",
        "FILE:4: uplink.compress: 1 is neither true nor false; write true or false, without quotes",
    ),
    (KIOSK + "uplink: {protocol: 5}\n", 'FILE:4: uplink.protocol: 5 is a number to YAML; write "5"'),
    (
        KIOSK + "uplink: {tls: {least_version: 1.3}}\n",
        'FILE:4: uplink.tls.least_version: 1.3 is a number to YAML; write "1.3"',
    ),
    (
        KIOSK + "uplink: {username: 12}\n",
        'FILE:4: uplink.username: 12 is a number to YAML, not a text; put it in quotes: "12"',
    ),
    (
        KIOSK + "trust: {enrolment: 'https://h:1'}\n",
        "FILE:4: trust.enrolment: 'https://h:1' is not host:port; leave out what stands before the host",
    ),
    (KIOSK + "trust: {enrolment: 'h'}\n", "FILE:4: trust.enrolment: has no port; end it with one, as in h:8883"),
    (KIOSK + "trust: {enrolment: h:70000}\n", "FILE:4: trust.enrolment: '70000' is no port; give one from 1 to 65535"),
    (
        KIOSK + "lanes:\n - camera: {autofocus: off}\n",
        'FILE:5: lanes[0].camera.autofocus: off without quotes is a yes or no; write "off"',
    ),
    (
        KIOSK + "lanes:\n - camera: {autofocus: macr}\n",
        "FILE:5: lanes[0].camera.autofocus: 'macr' is none of continuous, macro, manual, off; did you mean `macro`?",
    ),
    (
        KIOSK + "lanes:\n - camera: {width_px: 641}\n",
        "FILE:5: lanes[0].camera.width_px: 641 is odd; write an even number",
    ),
    (
        KIOSK + "lanes:\n - camera: {region: 5}\n",
        "FILE:5: lanes[0].camera.region: is no list; write four numbers in brackets, as in [0, 0, 1, 1]",
    ),
    (
        KIOSK + "lanes:\n - camera: {region: [0, 0, 1]}\n",
        "FILE:5: lanes[0].camera.region: has too few numbers in it; write four numbers in brackets, as in [0, 0, 1, 1]",
    ),
    (
        KIOSK + "lanes:\n - camera: {region: [0, 0, 1, 1, 1]}\n",
        "FILE:5: lanes[0].camera.region: has more than 4 in it; remove what is too much",
    ),
    (
        KIOSK + "lanes:\n - camera: {region: [0, 0, 1, x]}\n",
        "FILE:5: lanes[0].camera.region[3]: x is no number; write it with the digits 0 to 9 alone",
    ),
    (
        KIOSK + "lanes:\n - camera: {source: ''}\n",
        "FILE:5: lanes[0].camera.source: is empty; give it a value, or remove the line",
    ),
    (
        KIOSK + "lanes:\n - camera: {source: webcam}\n",
        "FILE:5: lanes[0].camera.source: 'webcam' is no source; begin it with one of picamera2:, v4l2:, folder:, video:, sim:",
    ),
    (
        KIOSK + "sound: {quiet_from: 21:00}\n",
        'FILE:4: sound.quiet_from: 21:00 is a number to YAML, not a text; put it in quotes: "21:00"',
    ),
    (
        KIOSK + "sound: {quiet_from: '7:00'}\n",
        'FILE:4: sound.quiet_from: \'7:00\' is no time of day; write "HH:MM" from "00:00" to "23:59"',
    ),
    (KIOSK + "seal: {mode: off}\n", 'FILE:4: seal.mode: off without quotes is a yes or no; write "off"'),
    (
        KIOSK + "log: {level: LOUD}\n",
        "FILE:4: log.level: 'LOUD' is none of debug, info, warning, error; use one of those",
    ),
    (KIOSK + "log: info\n", "FILE:4: log: is a single value; write its keys under it, indented"),
    (KIOSK + "record: {keep: number}\n", "FILE:4: record.keep: is no list; begin each word with `- `"),
    (
        KIOSK + "record: {keep: [numbr]}\n",
        "FILE:4: record.keep[0]: 'numbr' is none of number, qid, name, birth_year, birth_date, sex, phone, insurance; did you mean `number`?",
    ),
    (
        KIOSK + "credentials: {local: {document: x, pattern: abc}}\n",
        "FILE:4: credentials.local: is no list; begin each card with `- `",
    ),
    (
        KIOSK + "credentials: {local: [{document: x, pattern: ab}]}\n",
        "FILE:4: credentials.local[0].pattern: 'ab' has fewer than 3 signs; see docs/configuration.md",
    ),
    (
        KIOSK + "credentials: {local: [{document: x, pattern: '{nr}..'}]}\n",
        "FILE:4: credentials.local[0].pattern: has an unknown place {nr}, known are number, name, birth, qid, any; see `credentials.local` in docs/configuration.md",
    ),
    (KIOSK + "credentials: {local: [{document: x}]}\n", "FILE:4: credentials.local[0].pattern: is missing; add it"),
    (KIOSK + "state: {dir: 5}\n", 'FILE:4: state.dir: 5 is no path; put it in quotes: "5"'),
    (KIOSK + "state: {dir: }\n", "FILE:4: state.dir: is empty; give it a value, or remove the line"),
    (KIOSK + "state: {dir: [a]}\n", "FILE:4: state.dir: is a list; give it one value"),
    (KIOSK + "decode:\nbudget_ms: 60\n", "FILE:5: budget_ms: there is no such key here; write it under `decode`"),
    (KIOSK + "budget_ms: 60\n", "FILE:4: budget_ms: there is no such key here; write it under `decode`"),
    (KIOSK + "5: 6\n", "FILE:4: 5: is no key; remove it, or see docs/configuration.md"),
    (KIOSK + "on: 6\n", "FILE:4: on: is no key; remove it, or see docs/configuration.md"),
    (
        KIOSK + "sound:\n  sound:\n    volume_percent: 5\n",
        "FILE:5: sound.sound: there is no such key here; begin it in the first column",
    ),
    (KIOSK + "decode:\n  budget_ms: 60ms\n", "FILE:5: decode.budget_ms: 60ms is no whole number; write 60 alone"),
    (
        KIOSK + "decode:\n  budget_ms: 5\n  budget_ms: 5\n",
        "FILE:6: decode.budget_ms: is given twice; remove one of them",
    ),
    (
        KIOSK
        + "lanes:\n - {name: a0, panel: {kind: none}}\n - {name: a1, panel: {kind: none}}\n - {name: a2, panel: {kind: none}}\n - {name: a3, panel: {kind: none}}\n - {name: a4, panel: {kind: none}}\n - {name: a5, panel: {kind: none}}\n - {name: a6, panel: {kind: none}}\n - {name: a7, panel: {kind: none}}\n - {name: a8, panel: {kind: none}}\n",
        "FILE:4: lanes: has more than 8 in it; remove what is too much",
    ),
    (
        KIOSK + "lanes:\n - name: a\n - name: b\n",
        "FILE:6: lanes[1]: has no `panel` of its own, and the pins 17, 27, 22, 18 are taken; give the lane a `panel` with pins, see docs/wiring.md",
    ),
    (
        KIOSK + "lanes:\n - name: a\n - name: a\n",
        "FILE:6: lanes[1].name: 'a' is the name of two lanes; give each lane its own",
    ),
    ("- a\n", "FILE:1: the file: is a list; begin with a copy of config/kiosk.yaml"),
    ("hello\n", "FILE:1: the file: has no sections; begin with a copy of config/kiosk.yaml"),
    ("", "FILE is empty; begin with a copy of config/kiosk.yaml"),
    (KIOSK + "site: b\n", "FILE:4: site: there is no such key here; write it under `kiosk`"),
    (
        KIOSK + "lanes:\n  - name: main\n    kind: gpio\n",
        "FILE:6: lanes[0].kind: there is no such key; remove it, or see docs/configuration.md",
    ),
    (
        KIOSK + "lanes:\n  - name: main\n    panel:\n      red_pin: 17\n      green_pin: 27\n",
        "FILE:7: lanes[0].panel.red_pin: there is no such key here, and no green_pin; write them under `leds`",
    ),
    (
        KIOSK + 'seal:\n  mode: "\\ud800"\n',
        "FILE:5:10: a backslash in double quotes begins a special sign; use single quotes",
    ),
    (
        KIOSK + "sound: {volume_percent: 050}\n",
        "FILE:4: sound.volume_percent: 050 is not written as a plain number; write 50",
    ),
    (
        KIOSK + "sound: {volume_percent: 00}\n",
        "FILE:4: sound.volume_percent: 00 is not written as a plain number; write 0",
    ),
    (
        KIOSK + "sound: {volume_percent: 5_0}\n",
        "FILE:4: sound.volume_percent: 5_0 is not written as a plain number; write 50",
    ),
    (
        KIOSK + "uplink: {tls: {cert_file: /etc/hostname}}\n",
        "FILE:4: uplink.tls: a certificate and its key go together; name both `cert_file` and `key_file`",
    ),
    (KIOSK + "uplnk: {}\n", "FILE:4: uplnk: there is no such key; did you mean `uplink`?"),
    (KIOSK + "site: null\n", "FILE:4: site: there is no such key here; write it under `kiosk`"),
]
SLIPS = [
    ("kiosk:\n\tid: a\n", "FILE:2:1: a tab stands here; begin lines with spaces only"),
    ("kiosk:\n  id: a\n\tsite: b\n", "FILE:3:1: a tab stands here; begin lines with spaces only"),
    (
        "kiosk:\n  id: 'a\n  site: b\n",
        "FILE:2:7: the quote ' that opens here is not closed on its line; close it with '",
    ),
    (
        'kiosk:\n  id: "a\n  site: b\nlanes:\n - name: "x"\n',
        'FILE:2:7: the quote " that opens here is not closed on its line; close it with "',
    ),
    (
        "kiosk:\n  id: a\n   site: b\n",
        "FILE:3:4: begins in column 4, where nothing above begins; begin it in the column of what it belongs with: 1 or 3",
    ),
    (
        "kiosk:\n  id: a\n site: b\n",
        "FILE:3:2: begins in column 2, where nothing above begins; begin it in the column of what it belongs with: 1 or 3",
    ),
    (
        "kiosk:\n\u00a0 id: a\n",
        "FILE:2:1: a space that is none stands here (no-break space, U+00A0); write an ordinary space, or put the text in quotes",
    ),
    (
        "kiosk:\n  id:\u00a0a\n  site: b\n",
        "FILE:2:6: a space that is none stands here (no-break space, U+00A0); write an ordinary space, or put the text in quotes",
    ),
    ("kiosk\n  id: a", "FILE:1:1: no colon follows `kiosk`; write `kiosk:`"),
    ("kiosk:\n  id:a\n  site: b\n", "FILE:2:6: no space follows the colon of `id`; write `id: a`"),
    (
        "lanes: [a, b\nlog: x\n",
        "FILE:1:8: the bracket [ that opens here is not closed; close it with ], with commas between",
    ),
    (
        "lanes:\n - {a: b\nlog: x\n",
        "FILE:2:4: the bracket { that opens here is not closed; close it with }, with commas between",
    ),
    ("kiosk: a: b\n", "FILE:1:9: a second colon stands in the line; put the value of `kiosk` in quotes"),
    ("x: @foo\n", "FILE:1:4: a value cannot begin with @; put it in quotes"),
    ("x: `foo`\n", "FILE:1:4: a value cannot begin with `; put it in quotes"),
    ("a: ]\n", "FILE:1:4: the bracket ] closes nothing; remove it"),
    ("- a\nb: c\n", "FILE:2:1: a key stands among the `- ` of a list; begin it with `- `, or indent it"),
    ("a: b\n- c\n", "FILE:2:1: a `- ` stands among keys; indent it, or write a key"),
    ("a: b\n---\nc: d\n", "FILE:2:1: a second file begins here; remove the line `---`"),
    ("a: \x01\n", "FILE:1:4: a sign that no editor shows stands here, U+0001; remove it"),
    ("%YAML 3.0\n---\na: b", "FILE:1:1: a line cannot begin with `%`; remove it"),
    ("x: !foo bar\n", "FILE:1:4: `!foo` has a meaning of its own in YAML; put it in quotes, or remove it"),
    (
        "lanes:\n  - name: a\n - name: b\n",
        "FILE:3:2: begins in column 2, where nothing above begins; begin it in the column of what it belongs with: 1 or 3",
    ),
    ("a: |2x\n b\n", "FILE:1:6: cannot be read as settings from here on; compare the line with config/kiosk.yaml"),
    ('a: "\\q"\n', "FILE:1:5: a backslash in double quotes begins a special sign; use single quotes"),
    ("x: *foo\n", "FILE:1:4: a reference (`*`) stands here; write the value itself, or put it in quotes"),
    ("'a: b\n", "FILE:1:1: the quote ' that opens here is not closed on its line; close it with '"),
    (
        "a: 'x' y\n",
        "FILE:1:8: something follows the closing quote; put the whole value in one pair of quotes, double ones if a single one is in it",
    ),
    ("{a: b}}\n", "FILE:1:7: the bracket } closes nothing; remove it"),
    ("a: [1,2]]\n", "FILE:1:9: the bracket ] closes nothing; remove it"),
    ("kiosk:\n  id: phong an: b\n", "FILE:2:15: a second colon stands in the line; put the value of `id` in quotes"),
    (
        "id: 'it's'\n",
        "FILE:1:9: something follows the closing quote; put the whole value in one pair of quotes, double ones if a single one is in it",
    ),
    ("? [a]\n: b\n", "FILE:1:3: a key is one word; write it without brackets"),
    ("a: =\n", "FILE:1:4: `=` has a meaning of its own in YAML; put it in quotes, or remove it"),
    ("<<: 5\n", "FILE:1:1: `<<` has a meaning of its own in YAML; put it in quotes, or remove it"),
    (
        "lanes:\n- name: a\n  camera:\n     fps: 3\n    gain: 2\n",
        "FILE:5:5: begins in column 5, where nothing above begins; begin it in the column of what it belongs with: 3 or 6",
    ),
    (
        "lanes:\n  - name: a\n    camera:\n      fps: 3\n   panel: 5\n",
        "FILE:5:4: begins in column 4, where nothing above begins; begin it in the column of what it belongs with: 3 or 5",
    ),
    ("a: b\nc\n", "FILE:2:1: no colon follows `c`; write `c:`"),
    ("a: b\nc d\ne: f\n", "FILE:2:1: no colon follows `c`; write `c:`"),
    (
        "lanes:\n  - name: a\n  name: b\n",
        "FILE:3:3: a key stands among the `- ` of a list; begin it with `- `, or indent it",
    ),
    ("kiosk:\n  id: a\n  site: b\n  - c\n", "FILE:4:3: a `- ` stands among keys; indent it, or write a key"),
    ("a: [1\n", "FILE:1:4: the bracket [ that opens here is not closed; close it with ], with commas between"),
    ("a: {b: 1,\n", "FILE:1:4: the bracket { that opens here is not closed; close it with }, with commas between"),
    ('a: "x\\', "FILE:1:6: a backslash in double quotes begins a special sign; use single quotes"),
]


def _refusal(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        loader.load(path)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize(("text", "said"), [*VALUES, *SLIPS])
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, said: str) -> None:
    """Word for word; one for each mistake, none for what only follows from it, no word of a library."""
    assert _refusal(tmp_path / "kiosk.yaml", text) == said
    assert not LIBRARY_WORDS.search(re.sub(r"'[^']*'|`[^`]*`", "", said))


@pytest.mark.parametrize(("text", "said"), SLIPS)
@pytest.mark.parametrize("parser", [plain_yaml.PythonParser, yaml.cyaml.CParser])  # type: ignore[attr-defined]
def test_slip_is_told_alike_by_either_reader(text: str, said: str, parser: object) -> None:
    """libyaml and PyYAML's own reader give up at other places with other words; the sentence is the same."""
    if odd := list(slips.odd_signs(text)):
        found = odd[0]
    else:
        with pytest.raises(yaml.YAMLError) as caught:
            plain_yaml.composed(text, plain_yaml.reader(parser))
        found = slips.explained(text, caught.value)
    assert f"FILE:{found.line}:{found.column}: {found.what}; {found.remedy}" == said


def test_every_kind_that_the_settings_can_raise_has_a_sentence(tmp_path: Path) -> None:
    """Each sentence for values is used above: none is for show, and the one for anything is for nothing known."""
    used: set[str] = set()

    class Noting(dict[str, object]):
        def get(self, key: str, default: object = None) -> object:
            used.add(key)
            assert key in self, key
            return super().get(key, default)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mistakes, "_SENTENCES", Noting(mistakes._SENTENCES))
        for text, _ in VALUES:
            with suppress(ConfigError):
                loader._validated(Path("x"), *loader._parsed(_written(tmp_path, text)), for_link=False)
    assert used == set(mistakes._SENTENCES)


def _written(folder: Path, text: str) -> Path:
    (folder / "kiosk.yaml").write_text(text, "utf-8")
    return folder / "kiosk.yaml"


_KEYS = [number for number, line in enumerate(EXAMPLE) if line.strip() and not line.lstrip().startswith("#")]
_SCALARS = st.sampled_from(
    "|x|-5|0|017|0x1F|1_000|12:30:45|yes|[|{|\"|'a|null|{a: b}|1.5|1e9|99999999|a: b|2026-01-01|- a|\t5|é ü|\u00a05|@x|`x`|*x|&x|!x|!!int x|.nan"
    "|.inf|'it's'|mqtt://h:99999|~".split("|")
) | st.text(max_size=12).filter(lambda text: "," not in text)  # fmt: skip


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[str, int]:
    """The example with some of its lines changed, and in how many places."""
    lines, places = list(EXAMPLE), draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=3, unique=True))
    for place in sorted(places, reverse=True):
        line = lines[place]
        match draw(st.sampled_from(["drop", "double", "indent", "dedent", "scalar", "glue", "tab", "bare"])):
            case "drop":
                del lines[place]
            case "double":
                lines.insert(place, line)
            case "indent":
                lines[place] = " " * draw(st.integers(1, 6)) + line
            case "dedent":
                lines[place] = line[draw(st.integers(1, 6)) :] if line.startswith(" " * 6) else line.lstrip()
            case "scalar":
                lines[place] = f"{line.partition(':')[0]}: {draw(_SCALARS)}"
            case "glue":
                lines[place] = line.replace(": ", ":", 1)
            case "tab":
                lines[place] = "\t" + line
            case _:
                lines[place] = line.replace(":", "", 1)
    return "\n".join(lines), len(places)


@settings(max_examples=150, deadline=None)
@given(_mutated())
def test_whatever_is_wrong_is_told_in_our_words(
    tmp_path_factory: pytest.TempPathFactory, mutated: tuple[str, int]
) -> None:
    """Lines dropped, doubled, moved, scalars changed: no traceback, no library's word, a line that is there, a sentence a mistake."""
    text, count = mutated
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    try:
        loader.load(path)
    except ConfigError as error:
        said = str(error).replace(str(path), "FILE").split("\n")
        last = text.count("\n") + 1
        if "is not UTF-8" in said[0]:
            return
        for sentence in said:
            found = re.match(r"FILE:(\d+)(?::(\d+))?: ", sentence)
            assert found, sentence
            assert 1 <= int(found[1]) <= last
            bare = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`", "", sentence.partition(": ")[2])
            assert not LIBRARY_WORDS.search(bare) or _quotes_the_file(bare, text), sentence
        assert len(said) == len(set(said))
        assert len(said) <= count + _of_lists(text), said


def _quotes_the_file(bare: str, text: str) -> bool:
    """Whether the word is one of the file's own: `pattern`, or what was written as a value."""
    found = LIBRARY_WORDS.search(bare)
    return found is not None and found[0] in text


def _of_lists(text: str) -> int:
    """A list has as many mistakes as items."""
    return text.count("[1, 2]")
