"""The centre's own certificates: entered when they are made, listed with their ends, taken back into the one list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509

from central.__main__ import main
from central.fleet import authority
from central.fleet.registry import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A fleet's folder with a broker, a collector, and two operators of one name."""
    folder = tmp_path / "fleet"
    place = ["--fleet", str(folder)]
    assert main(["ca", "init", *place]) == 0
    assert main(["ca", "server", "broker.example", *place, "--as", "broker"]) == 0
    assert main(["ca", "client", "central-collector", *place]) == 0
    assert main(["ca", "client", "central-operator", *place, "--as", "older"]) == 0
    assert main(["ca", "client", "central-operator", *place]) == 0
    return folder


def _serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def _revoked(folder: Path) -> set[int]:
    return {entry.serial_number for entry in x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())}


def _listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    capsys.readouterr()
    assert main(["ca", "list", "--fleet", str(folder)]) == 0
    heading, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert heading == ["name", "state", "expires", "serial"]
    return [(line[0], line[1]) for line in lines]


def test_all_are_listed_with_their_ends(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table and for programs; one whose time is over is called that."""
    names = ["broker.example", "central-collector", "central-operator", "central-operator"]
    with Fleet(fleet / "fleet.db") as registry:
        registry.own.enter(5, "central-late", 1, 2)
    assert _listed(fleet, capsys) == [
        *((names[0], "good"), (names[1], "good")),
        ("central-late", "ended"),
        *((names[2], "good"),) * 2,
    ]
    assert main(["ca", "list", "--json", "--fleet", str(fleet)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {int(each["serial"], 16) for each in told} == {
        5,
        *(_serial(fleet / f"{name}.pem") for name in ("broker", "central-collector", "older", "central-operator")),
    }
    assert all(each["expires_s"] > each["issued_s"] for each in told)


def test_one_is_taken_back_by_its_number_and_all_by_their_name(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the list that the broker reads; it stays there when stations are revoked, and nothing else is touched."""
    older = _serial(fleet / "older.pem")
    assert main(["ca", "revoke", f"{older:X}", "--fleet", str(fleet)]) == 0
    assert "crl.pem" in capsys.readouterr().out
    assert _revoked(fleet) == {older}
    assert main(["ca", "revoke", "central-operator", "--fleet", str(fleet)]) == 0
    with Fleet(fleet / "fleet.db") as registry:
        registry.invite("door-a", "office-1", (("main", "in"),), "broker:8883", "centre:8443", 60)
    assert main(["fleet", "revoke", "door-a", "--fleet", str(fleet)]) == 0
    assert _revoked(fleet) == {older, _serial(fleet / "central-operator.pem")}
    assert [state for name, state in _listed(fleet, capsys) if name == "central-operator"] == ["revoked"] * 2
    assert main(["ca", "revoke", "central-operator", "--fleet", str(fleet)]) == 21
    assert "revoked already" in capsys.readouterr().err


def test_one_of_before_is_taken_back_by_its_file(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the registry has never seen, if this authority made it."""
    made = authority.open_authority(fleet)
    unknown = tmp_path / "unknown.pem"
    unknown.write_bytes(made.issue_client("central-operator")[0])
    assert main(["ca", "revoke", str(unknown), "--fleet", str(fleet)]) == 0
    assert _revoked(fleet) == {_serial(unknown)}
    assert [state for name, state in _listed(fleet, capsys) if name == "central-operator"] == [
        "good",
        "good",
        "revoked",
    ]


def test_what_cannot_be_taken_back_is_told(fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No name, an unknown one, no certificate, another authority's, a station's, a file that cannot be read."""
    other = authority.create(tmp_path / "other", "other fleet")
    with Fleet(fleet / "fleet.db") as registry:
        registry.invite("door-a", "office-1", (("main", "in"),), "broker:8883", "centre:8443", 60)
    for name, content in (
        ("key.pem", (fleet / "broker.key").read_bytes()), ("foreign.pem", other.issue_client("central-operator")[0]),
        ("station.pem", authority.open_authority(fleet).issue_client("door-a")[0]),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
    for words, said in (
        ([], "which certificate?"), (["central-nobody"], "knows no certificate"), (["door-a"], "knows no certificate"),
        ([str(tmp_path / "key.pem")], "no certificate of this authority"), ([str(tmp_path / "foreign.pem")], "no certificate of this authority"),
        (["/proc/self/mem"], "/proc/self/mem: "), ([str(tmp_path / "station.pem")], "`central fleet revoke door-a`"),
    ):  # fmt: skip
        assert main(["ca", "revoke", *words, "--fleet", str(fleet)]) == 21
        assert said in capsys.readouterr().err
    assert _revoked(fleet) == set()
