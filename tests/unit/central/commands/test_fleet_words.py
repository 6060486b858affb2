"""The fleet's words: what is no server's name is refused, tables fit a terminal, remedies can be copied as they stand."""

from __future__ import annotations

import json
import shlex
import socket
import time
from pathlib import Path

import pytest
from cryptography import x509

from central.__main__ import main
from central.commands.ca import check_host
from central.fleet import authority
from central.fleet.registry import Fleet
from kiosk.errors import FleetError

DAY_S = 86_400
LABEL = "a" * 63
LONGEST = f"{LABEL}.{LABEL}.{LABEL}.{'a' * 61}"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A fleet's folder with a station that has a certificate."""
    folder = tmp_path / "a fleet"
    authority.create(folder, "test fleet")
    with Fleet(folder / "fleet.db") as registry:
        token = registry.invite("door-a", "office-1", (("main", "in"),), "b.example:8883", "b.example:8443", DAY_S)
        registry.claim(token, b"key")
        ends_s = int(time.time()) + DAY_S
        registry.issued("door-a", 2**159 - 1, b"key", ends_s, b"", supersedes=True)
    return folder


@pytest.mark.parametrize(
    "name",
    ["broker", "broker.example", "b-1.example", "192.0.2.7", "2001:db8::7", "::1", "xn--ph-yia.example", LONGEST],
)
def test_names_and_addresses_are_certified(name: str, tmp_path: Path) -> None:
    """Into files that can be called so, with the whole name in the certificate."""
    check_host(name)
    authority.create(tmp_path, "test fleet")
    assert main(["ca", "server", name, "--fleet", str(tmp_path), "--as", "broker"]) == 0
    certificate = x509.load_pem_x509_certificate((tmp_path / "broker.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == [name]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad name!", "letters a to z"), ("", "letters a to z"), (" broker", "letters a to z"), ("broker ", "letters a to z"),
        ("my_broker", "letters a to z"), ("broker-.example", "letters a to z"),
        ("broker..example", "letters a to z"), ("broker.example.", "letters a to z"), ("trạm.example", "letters a to z"),
        ("broker.example:8883", "letters a to z"), ("mqtts://broker.example", "letters a to z"), ("a\n", "letters a to z"),
        ("*.example", "every host of a domain"), ("*", "letters a to z"), (f"{LABEL}a.example", "at most 253"),
        (f"{LONGEST}a", "at most 253"), ("192.0.2.300", "looks like an address"), ("192.0.2", "looks like an address"),
        ("192.0.2.7/24", "letters a to z"),
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_server_is_refused(
    name: str, reason: str, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also behind a right one; no certificate is made, and it is said how a name is written."""
    assert main(["ca", "server", "right.example", name, "--fleet", str(fleet)]) == 21
    said = capsys.readouterr().err
    assert repr(name) in said
    assert reason in said
    assert "broker.example or 192.0.2.7" in said
    assert not list(fleet.glob("right*"))
    with pytest.raises(FleetError):
        check_host(name)


def test_certificate_of_an_address_has_a_file(tmp_path: Path) -> None:
    """Colons are no letters of a file name."""
    authority.create(tmp_path, "test fleet")
    assert main(["ca", "server", "::1", "--fleet", str(tmp_path)]) == 0
    assert (tmp_path / "1.pem").exists()


@pytest.mark.parametrize("name", ["", "a" * 65, "two\nlines"])
def test_authority_has_a_name_that_a_certificate_can_hold(name: str, tmp_path: Path) -> None:
    """One sentence, and nothing is begun."""
    assert main(["ca", "init", name, "--fleet", str(tmp_path / "fleet")]) == 21
    assert not (tmp_path / "fleet").exists()


def test_list_fits_a_terminal(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """100 columns with its heading; the serial number, whole, with --wide and in JSON."""
    assert main(["fleet", "list", "--fleet", str(fleet)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == [*"kiosk site state expires reuses link seen".split(), "(Asia/Ho_Chi_Minh)"]
    assert main(["fleet", "list", "--wide", "--fleet", str(fleet)]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(f"  {2**159 - 1:x}")
    assert main(["fleet", "list", "--json", "--fleet", str(fleet)]) == 0
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["kiosk"], told["state"], told["serial"]) == ("door-a", "enrolled", f"{2**159 - 1:x}")


@pytest.mark.parametrize("verb", ["revoke", "replace"])
def test_next_command_can_be_copied(verb: str, fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was given for it here stands in it, quoted, and it is understood."""
    url = "mqtts://127.0.0.1:1"
    given = ["--fleet", str(fleet), "--at-broker", url, "--ca-file", str(fleet / "ca.pem"), "--least-tls", "1.2"]
    more = ["--png", str(tmp_path / "code.png")] if verb == "replace" else []
    assert main(["fleet", verb, "door-a", *given, *more]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    program, *words = shlex.split(said.rpartition("may still have: ")[2])
    assert (program, words[:3]) == ("central", ["fleet", "cut", "door-a"])
    assert [words[words.index(name) + 1] for name in given[::2]] == given[1::2]
    assert main([*words, "--watch-s", "0"]) == 13, "understood: it went to the broker"


@pytest.mark.parametrize("verb", ["revoke", "replace", "cut"])
def test_unknown_station_is_told_with_the_fleet_that_was_asked(
    verb: str, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And so is none at all."""
    for words, reason in ((["door-z"], "there is no kiosk 'door-z'"), ([], "which kiosk?")):
        assert main(["fleet", verb, *words, "--fleet", str(fleet)]) == 21
        said = capsys.readouterr().err
        assert reason in said
        assert f"`central fleet list --fleet '{fleet}'` names them" in said


@pytest.mark.parametrize(
    "place", ["broker.example:99999", "broker.example", "broker.example:", ":8883", "a b:1", "b:-1"]
)
@pytest.mark.parametrize("option", ["--broker", "--enrolment"])
def test_place_that_is_none_gets_no_code(
    option: str, place: str, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A station could never reach it."""
    with pytest.raises(SystemExit):
        main(["provision", "--kiosk", "door-b", "--fleet", str(fleet), f"{option}={place}"])
    assert f"argument {option}: {place!r}: " in capsys.readouterr().err


def test_port_in_use_is_told_as_that(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the fleet's folder nor its disk is at fault; files that are missing are told as themselves."""
    words = ["enrol", "--fleet", str(fleet), "--listen"]
    assert main([*words, "127.0.0.1:0"]) == 21
    assert "`central ca server NAME --as broker` makes both" in capsys.readouterr().err
    assert main(["ca", "server", "127.0.0.1", "--fleet", str(fleet), "--as", "broker"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([*words, place]) == 21
        said = capsys.readouterr().err
        assert f"cannot listen at {place}: Address already in use; another program has this port" in said
        assert "--listen" in said
    assert main([*words, "192.0.2.7:8443"]) == 21
    assert "--listen names an address of this machine" in capsys.readouterr().err
