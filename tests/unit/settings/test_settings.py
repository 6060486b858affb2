"""A configuration is right, or refused with file, line, key and remedy before anything moves."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml

from kiosk.__main__ import main
from kiosk.errors import ConfigError
from kiosk.service import reference
from kiosk.settings import loader, plain_yaml

ROOT = Path(__file__).resolve().parents[3]
KIOSK = "kiosk:\n  id: a-1\n  site: b\n"


def _refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "kiosk.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        loader.load(path)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(path), "FILE")


def test_shipped_example_is_what_the_types_say() -> None:
    """config/kiosk.yaml and docs/configuration.md are made from the types; run `make docs` after a change."""
    assert (ROOT / "config" / "kiosk.yaml").read_text("utf-8") == reference.example()
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == reference.reference()


def test_shipped_example_is_all_defaults() -> None:
    """Whoever copies the example gets what an almost empty file gives."""
    example = loader.load(ROOT / "config" / "kiosk.yaml")
    assert example == type(example).model_validate({"kiosk": example.kiosk.model_dump()})


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (KIOSK + "colour: red\n", "FILE:4: colour: there is no such key; remove it, or see docs/configuration.md"),
        (KIOSK + "uplnk: {}\n", "FILE:4: uplnk: there is no such key; did you mean `uplink`?"),
        (
            KIOSK + "lanes:\n  - camera:\n      with_px: 640\n",
            "FILE:6: lanes[0].camera.with_px: there is no such key; did you mean `width_px`?",
        ),
        ("kiosk:\n  id: a\n", "FILE:1: kiosk.site: is missing; add it"),
        ("kiosk:\n  id: A b\n  site: b\n", "FILE:2: kiosk.id: 'A b' is not written with only a-z, 0-9 and hyphens"),
        (KIOSK + "decode:\n  budget_ms: 1\n", "FILE:5: decode.budget_ms: 1 is less than 5"),
        (KIOSK + "decode:\n  budget_ms: 9999\n", "FILE:5: decode.budget_ms: 9999 is more than 2000"),
        (
            KIOSK + "decode:\n  budget_ms: '60'\n",
            "FILE:5: decode.budget_ms: '60' is a text to YAML; write 60 without quotes",
        ),
        (
            KIOSK + "sound:\n  quiet_from: 21:00\n",
            "FILE:5: sound.quiet_from: 21:00 is a number to YAML, not a text; put it in quotes",
        ),
        (KIOSK + "log:\n  level: loud\n", "FILE:5: log.level: 'loud' is none of"),
        (KIOSK + "lanes:\n  - direction: up\n", "FILE:5: lanes[0].direction: 'up' is none of"),
        (KIOSK + "uplink:\n  brokers: [http://x]\n", "FILE:5: uplink.brokers[0]: 'http://x' begins with neither"),
        (KIOSK + "sound: {}\nsound: {}\n", "FILE:5: sound: is given twice"),
        (
            KIOSK + "lanes:\n - name: a\n - name: a\n   panel: {kind: none}\n",
            "FILE:6: lanes[1].name: 'a' is the name of two",
        ),
        (KIOSK + "lanes:\n - camera: {source: webcam}\n", "FILE:5: lanes[0].camera.source: 'webcam' is no source"),
        (KIOSK + "lanes:\n - camera: {source: 'folder:/no/such'}\n", "lanes[0].camera.source: /no/such does not exist"),
        (KIOSK + "lanes:\n - camera: {region: [0.5, 0, 0.6, 1]}\n", "lanes[0].camera.region: reaches beyond"),
        (
            KIOSK + "lanes:\n - camera: {autofocus: off}\n",
            "FILE:5: lanes[0].camera.autofocus: off without quotes is a yes or no; write",
        ),
        (
            KIOSK + "lanes:\n - camera: {exposure_us: 50000}\n",
            "lanes[0].camera.exposure_us: 50000 does not fit into a frame; at 30 fps give at most 33333",
        ),
        (
            KIOSK + "lanes:\n - camera: {alternate_exposure_us: 2000}\n",
            "lanes[0].camera.alternate_exposure_us: alternates with automatic exposure; also give `exposure_us`, and a",
        ),
        (
            KIOSK + "lanes:\n - camera: {alternate_exposure_us: 2000, exposure_us: 9000, gain: 0.5}\n",
            "alternates with automatic exposure",
        ),
        (
            KIOSK + "lanes:\n - camera: {alternate_exposure_us: 2000, exposure_us: 2000, gain: 1.0}\n",
            "lanes[0].camera.alternate_exposure_us: is the same as `exposure_us`; give another one, or 0",
        ),
        (
            KIOSK
            + "lanes:\n - camera: {source: 'v4l2:0', alternate_exposure_us: 2000, exposure_us: 90000, gain: 1.0}\n",
            "lanes[0].camera.alternate_exposure_us: only a Pi camera changes its exposure from frame to frame; set it to 0",
        ),
        (
            KIOSK + "lanes:\n - lamp: {when: dark, dark_below: 90, bright_above: 90}\n",
            "FILE:5: lanes[0].lamp.bright_above: is not above `dark_below`, 90; leave at least 50",
        ),
        (
            KIOSK + "lanes:\n - lamp: {when: always, pin: 22}\n",
            "lanes[0].lamp.pin: pin 22 is also lanes[0].panel.leds.blue_pin",
        ),
        (
            KIOSK + "lanes:\n - panel: {buzzer: {pin: 17}}\n",
            "lanes[0].panel.buzzer.pin: pin 17 is also lanes[0].panel.leds.red_pin",
        ),
        (KIOSK + "lanes:\n - panel: {leds: {red_pin: 40}}\n", "lanes[0].panel.leds.red_pin: 40 is more than 27"),
        (KIOSK + "lanes:\n - panel: {leds: {blue_pin: null}}\n", "an RGB LED has a blue pin"),
        (KIOSK + "lanes:\n - panel: {leds: {yellow_pin: 5}}\n", "an RGB LED has no yellow pin"),
        (KIOSK + "uplink:\n  password_file: /no/such\n", "FILE:5: uplink.password_file: /no/such does not exist"),
        (KIOSK + "uplink:\n  tls: {cert_file: /etc/hostname}\n", "uplink.tls: a certificate and its key go together"),
        (
            KIOSK + "credentials:\n  local:\n  - {document: x, pattern: '{nr}..'}\n",
            "FILE:6: credentials.local[0].pattern:",
        ),
        (KIOSK + "lanes: 5\n", "FILE:4: lanes: "),
        (KIOSK + "a: [\n", "FILE:4:4: the bracket [ that opens here is not closed"),
        ("- 1\n", "FILE:1: the file: "),
        ("", "FILE is empty; begin with a copy"),
    ],
)
def test_wrong_configuration_is_one_sentence(tmp_path: Path, text: str, refusal: str) -> None:
    """File, line, key, what is wrong, and what to do."""
    assert refusal in _refusal(tmp_path, text)


def test_exposures_and_lamp_that_fit_are_taken(tmp_path: Path) -> None:
    """Alternating exposures of a Pi camera; a lamp that is never lit needs no pin of its own."""
    path = tmp_path / "kiosk.yaml"
    camera = "{alternate_exposure_us: 2000, exposure_us: 20000, gain: 2.0}"
    path.write_text(f"{KIOSK}lanes:\n - camera: {camera}\n   lamp: {{when: never, pin: 17}}\n", "utf-8")
    assert loader.load(path).lanes[0].camera.alternate_exposure_us == 2000


def test_two_lanes_share_no_pin(tmp_path: Path) -> None:
    """A pin that two lanes would drive is refused; a lane without pins does not count."""
    refusal = _refusal(tmp_path, KIOSK + "lanes:\n  - name: a\n  - name: b\n")
    assert refusal == (
        "FILE:6: lanes[1]: has no `panel` of its own, and the pins 17, 27, 22, 18 are taken;"
        " give the lane a `panel` with pins, see docs/wiring.md"
    )
    refusal = _refusal(tmp_path, KIOSK + "lanes:\n  - name: a\n  - name: b\n    panel: {leds: {kind: rgb}}\n")
    assert len(refusal.splitlines()) == 4
    assert "lanes[1].panel.leds.red_pin: pin 17 is also lanes[0].panel.leds.red_pin" in refusal


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    """A technician does not have to run it once a slip."""
    refusal = _refusal(tmp_path, KIOSK + "decode:\n  budget_ms: 1\nlog:\n  level: x\nfoo: 1\n")
    assert len(refusal.splitlines()) == 3


def test_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, a folder, too large, not UTF-8: each in its own words, with exit code 2."""
    with pytest.raises(ConfigError, match="does not exist; copy"):
        loader.load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        loader.load(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b" " * (plain_yaml.LARGEST_BYTES + 1))
    with pytest.raises(ConfigError, match="is larger"):
        loader.load(large)
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        loader.load(tmp_path / "latin.yaml")
    assert main(["check", "--config", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.startswith("kiosk: ")


def test_sound_configuration_passes_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kiosk check` says which kiosk it is and which lanes it has."""
    path = tmp_path / "kiosk.yaml"
    path.write_text(KIOSK, "utf-8")
    assert main(["check", "--config", str(path)]) == 0
    assert "kiosk a-1 at b, lanes main (pass)" in capsys.readouterr().out


def test_board_that_names_no_kiosk_passes_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A board's file without a `kiosk` section is right, too: the rest comes with the provisioning code."""
    path = tmp_path / "kiosk.yaml"
    path.write_text(f"state: {{dir: {tmp_path / 'state'}}}\n", "utf-8")
    assert main(["check", "--config", str(path)]) == 0
    assert "a board without a name, which waits for its provisioning code" in capsys.readouterr().out


def test_alias_bomb_and_tags_do_no_harm(tmp_path: Path) -> None:
    """YAML that would run Python is refused as YAML."""
    refusal = _refusal(tmp_path, "kiosk: !!python/object/apply:os.system [id]\n")
    assert refusal.startswith("FILE:1:8: `!!python/object/apply:os.system` has a meaning of its own in YAML")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("log: " + "[" * 900, "nested too deeply"),
        ("- " * 5000, "nested too deeply"),
        ("log: &a [*a]", "a reference (`*`) stands here"),
        ("log: &a {level: *a}", "a reference (`*`) stands here"),
        ("log: {level: 2001-99-99}", "a date, a time or a number that there is not"),
        ("log: {level: !!bool x}", "a date, a time or a number that there is not"),
        ("log: {level: !!timestamp x}", "a date, a time or a number that there is not"),
        ("log: {level: " + "9" * 5000 + "}", "a date, a time or a number that there is not"),
    ],
)
def test_yaml_that_would_overwhelm_is_refused_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    """Depth, references that go round, and values that Python cannot make are a sentence with a line, never a crash."""
    refusal = _refusal(tmp_path, "\n\n" + text + "\n")
    assert re.match(rf"FILE:3:[0-9]+: {re.escape(problem)}", refusal), refusal


@pytest.mark.parametrize("parser", [plain_yaml.PythonParser, yaml.cyaml.CParser])  # type: ignore[attr-defined]
def test_brackets_without_end_are_refused_at_once(parser: object) -> None:
    """Fifteen hundred open brackets took 200 ms once; now a few, with libyaml and without it."""
    started_ns = time.thread_time_ns()
    with pytest.raises(yaml.MarkedYAMLError, match="nest"):
        plain_yaml.composed("log: " + "[" * 1500, plain_yaml.reader(parser))
    assert time.thread_time_ns() - started_ns < 50_000_000


def test_libyaml_and_pythons_own_reader_say_the_same() -> None:
    """The example with every key has the same values, at the same lines, with either."""
    text = (ROOT / "config" / "kiosk.yaml").read_text("utf-8")
    node, values = plain_yaml.composed(text)
    python_node, python_values = plain_yaml.composed(text, plain_yaml.reader(plain_yaml.PythonParser))
    assert values == python_values
    assert _lines(node) == _lines(python_node)


def _lines(node: yaml.Node | None) -> list[int]:
    assert node is not None
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else []
    parts = node.value if isinstance(node, yaml.SequenceNode) else parts
    return [node.start_mark.line, *(line for part in parts for line in _lines(part))]


@pytest.mark.parametrize(
    "text", ["", "a: [", "5", "kiosk: 5", "kiosk: {}\nlanes: {}\nuplink: {tls: {}}\ntrust: {}",
             "kiosk: {}\nlanes: []\nuplink: {tls: 5}\ntrust: {}", "kiosk: &a [*a]", "kiosk: " + "[" * 1500],
)  # fmt: skip
def test_damaged_identity_is_a_sentence(tmp_path: Path, text: str) -> None:
    """Whatever a rotten card makes of what provisioning wrote: one sentence with its remedy, never a crash."""
    (tmp_path / "kiosk.yaml").write_text(f"state: {{dir: {tmp_path}}}\n", "utf-8")
    (tmp_path / loader.IDENTITY).mkdir()
    (tmp_path / loader.IDENTITY / "kiosk.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"identity/kiosk\.yaml is damaged; wipe"):
        loader.load(tmp_path / "kiosk.yaml")
