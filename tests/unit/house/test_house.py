"""The rules of the house, run as tests, so that one command proves everything."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from central.__main__ import PROGRAM as CENTRAL
from kiosk.__main__ import PROGRAM as KIOSK
from kiosk.cli import completion, words

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(
    path for folder in ("kiosk", "central", "bench", "tests", "image-build") for path in (ROOT / folder).rglob("*.py")
)
SCRIPTS = [
    ROOT / "setup.sh",
    ROOT / "audit.sh",
    ROOT / ".ci" / "run",
    ROOT / "systemd" / "install.sh",
    *sorted((ROOT / "systemd" / "bin").iterdir()),
    *sorted((ROOT / "image-build").rglob("*.sh")),
    *sorted((ROOT / "image-build").glob("overlay/*/usr/lib/kiosk/bin/*")),
    ROOT / "image-build" / "bundle" / "hook",
    ROOT / "tests" / "updates" / "guest.sh",
]
UNITS = sorted((ROOT / "systemd" / "system").iterdir())


def _run(*argv: str) -> None:
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_linter_is_content() -> None:
    """ruff finds nothing that has no reason written beside it."""
    _run(sys.executable, "-m", "ruff", "check", ".")


def test_format_is_settled() -> None:
    """The formatter would change nothing."""
    _run(sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.slow
def test_types_hold() -> None:
    """mypy --strict finds nothing in product, tests and benchmarks."""
    _run(sys.executable, "-m", "mypy")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script: Path) -> None:
    """shellcheck finds nothing."""
    _run("shellcheck", str(script))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_clean(unit: Path) -> None:
    """systemd finds nothing in a unit but what an older one than Debian 13's does not know, and programs not installed here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    argv = ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stderr
    newer = r"Unknown key (name )?'(ImportCredential|RestartSteps|RestartMaxDelaySec)'"
    absent = r"(/usr/lib/kiosk/bin/calm|/usr/bin/systemctl|/usr/sbin/wpa_supplicant) is not executable"
    known = re.compile(f"{newer}|{absent}")
    assert not [found for found in said.splitlines() if str(unit) in found and not known.search(found)]


def test_units_name_pages_that_are_installed(tmp_path: Path) -> None:
    """What `systemctl status` shows as Documentation is a file that install.sh puts there, in the image's own units, too."""
    _run(str(ROOT / "systemd" / "install.sh"), str(tmp_path))
    overlay = ROOT / "image-build" / "overlay"
    units = [*UNITS, *(path for path in overlay.glob("*/usr/lib/systemd/system/*") if path.is_file())]
    named = {
        page
        for unit in units
        for page in re.findall(r"^Documentation=file://(\S+)$", unit.read_text("utf-8"), re.MULTILINE)
    }
    assert named
    assert not [page for page in named if not (tmp_path / page.lstrip("/")).is_file()]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_says_what_it_is_for(source: Path) -> None:
    """Every module, and every test, states its purpose or promise in a docstring."""
    tree = ast.parse(source.read_text("utf-8"))
    assert ast.get_docstring(tree), "no module docstring"
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


def test_nothing_is_put_off() -> None:
    """No part is left for later inside the sources."""
    word = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    assert not [str(path) for path in SOURCES if word.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("source", [path for path in SOURCES if "tests" not in path.parts], ids=lambda path: path.name)
def test_file_is_one_sitting(source: Path) -> None:
    """No file of the product grows beyond what one reads in one go."""
    assert len(source.read_text("utf-8").splitlines()) <= 400


def test_shipped_links_lead_somewhere() -> None:
    """Every relative link in the README and in docs/ names a file that exists."""
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for target in link.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_shipped_commands_exist() -> None:
    """Every `kiosk …`, `central …` and `make …` that a page tells people to type is there, with its options."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    code = "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", text)])
    typed = re.compile(r"^(?:[^ ]*/bin/)?(kiosk|central|make) ([a-z]+(?:-[a-z]+)*)(?![a-z0-9-])([^#\n]*)", re.MULTILINE)
    found = set(typed.findall(code))
    assert len(found) > 15
    options_of = {
        parser.prog: parser.option_names()
        for program in (KIOSK, CENTRAL)
        for parser in completion.parsers(words.parser_of(program))
        if isinstance(parser, words.Parser)
    }
    for program, verb, rest in found:
        if program == "make":
            assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), verb
            continue
        action = f"{program} {verb} {(rest.split() or [''])[0]}"
        word = action if action in options_of else f"{program} {verb}"
        assert word in options_of, word
        there = {name for prog, names in options_of.items() if f"{prog} ".startswith(f"{word} ") for name in names}
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in there, f"{word} {option}"
