"""What the pages on security promise is there: tests by their names, every provision once, a policy, and no key."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "SECURITY.md", ROOT / "docs" / "threat-model.md", ROOT / "docs" / "etsi-303-645.md"]
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")
PROVISIONS = {
    "5.1": 5, "5.2": 3, "5.3": 16, "5.4": 4, "5.5": 8, "5.6": 9, "5.7": 2, "5.8": 3, "5.9": 3, "5.10": 1, "5.11": 4,
    "5.12": 3, "5.13": 1, "6": 5,
}  # fmt: skip


def _rows(page: Path, columns: int) -> list[list[str]]:
    """The cells of the rows of the page's tables that have this many columns, without headings."""
    rows = [
        line.strip().strip("|").split(" | ") for line in page.read_text("utf-8").splitlines() if line.startswith("| ")
    ]
    return [[cell.strip() for cell in row] for row in rows if len(row) == columns]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    """Whoever looks a test up by the name that a page gives finds it."""
    for file, name in set(NAMED.findall(page.read_text("utf-8"))):
        assert (ROOT / file).is_file(), file
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


def test_every_provision_stands_once() -> None:
    """30 rows; every provision of the standard in one of them; each with a test, or an honest word."""
    rows = [row for row in _rows(PAGES[2], 4) if row[0].isdigit()]
    assert [int(row[0]) for row in rows] == list(range(1, 31))
    listed = [provision for row in rows for provision in row[1].split(", ")]
    assert len(listed) == len(set(listed))
    assert set(listed) == {f"{clause}-{n}" for clause, count in PROVISIONS.items() for n in range(1, count + 1)}
    for row in rows:
        assert NAMED.search(row[3]) or row[3] == "not on this hardware", row


def test_every_threat_has_its_test() -> None:
    """No row of the threat model rests on words alone."""
    rows = [row for row in _rows(PAGES[1], 6) if re.fullmatch(r"B\d", row[0])]
    assert len(rows) > 20
    assert {row[0] for row in rows} == {f"B{n}" for n in range(1, 10)}
    assert {row[1] for row in rows} == set("STRIDE")
    assert [row for row in rows if not NAMED.search(row[4])] == []


def test_policy_says_where_when_and_how_long() -> None:
    """A contact by role, times, and how long a station is supported."""
    text = PAGES[0].read_text("utf-8")
    for promise in ("security contact", "3 working days", "14 days", "90 days", "5 years"):
        assert promise in text


def test_no_private_key_is_in_the_sources() -> None:
    """Keys of tests are made when they run: no file under version control holds a private key."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 100
    key = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE " + rb"KEY-----\s+[A-Za-z0-9+/=]{20}")
    assert [str(file) for file in files if file.is_file() and key.search(file.read_bytes())] == []


def test_products_own_list_is_known() -> None:
    """`make sbom` and `make audit` are there, and what they look at is the product: its dependencies have bounds below."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^sbom:", makefile, re.MULTILINE)
    assert re.search(r"^audit:", makefile, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["centre"]]
    assert [each for each in wanted if ">=" not in each] == []
    script = (ROOT / "audit.sh").read_text("utf-8")
    assert "--strict" in script, "what could not be looked up is no clean bill"
    assert "exit 3" in script
