"""Who may import whom; and the page that says so says it of every module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[3]
# Words and forms: what travels, what is signed, what is sealed; and the way to a broker, which is the same for both: its address, the files of TLS.
SHARED = {
    "kiosk", "kiosk.cues", "kiosk.errors", "kiosk.forms", "kiosk.model", "kiosk.delivery.dial", "kiosk.delivery.packing", "kiosk.delivery.pem", "kiosk.delivery.poison", "kiosk.delivery.wire", "kiosk.disk.durable", "kiosk.disk.text", "kiosk.trust.authority_keys", "kiosk.trust.trust_list",
    "kiosk.updates.rules", "kiosk.cli.words", "kiosk.cli.values",
}  # fmt: skip
# Whoever issues a pass, or says whom to believe, writes the form that a station reads, from the modules that define it.
ISSUERS = {
    "central.commands.trust": {"kiosk.credential.trust", "kiosk.trust.issuers"},
    "central.commands.passes": {"kiosk.credential.personal_pass", "kiosk.credential.trust"},
}


def test_layers_hold() -> None:
    """Modules import downwards only, decisions do no I/O, and the kiosk does not know the centre."""
    argv = [str(Path(sys.executable).with_name("lint-imports"))]
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_centre_shares_words_forms_and_the_way_to_a_broker_only() -> None:
    """What the centre imports of the kiosk is listed above; a station's devices and its store are none of its business."""
    graph = grimp.build_graph("kiosk", "central", cache_dir=None)
    strange = [
        f"{module} -> {used}"
        for module in sorted(graph.modules)
        if module.partition(".")[0] == "central"
        for used in graph.find_modules_directly_imported_by(module)
        if used.partition(".")[0] == "kiosk"
        and used not in SHARED | ISSUERS.get(module, set())
        and not used.startswith("kiosk.envelopes")
    ]
    assert not strange


def test_page_tells_the_same_house() -> None:
    """docs/architecture.md has each wing once, with the sentence of its door."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    told = re.findall(r"^\| `((?:kiosk|central)/[a-z_]+)/` \| (.+) \|$", page, re.MULTILINE)
    doors = {
        str(door.parent.relative_to(ROOT)): (ast.get_docstring(ast.parse(door.read_text("utf-8"))) or "").splitlines()[
            0
        ]
        for root in ("kiosk", "central")
        for door in sorted((ROOT / root).glob("*/__init__.py"))
    }
    assert len(told) == len(doors)
    assert dict(told) == doors


def test_page_names_every_room_of_the_way() -> None:
    """Each file at the root of kiosk/ stands on the page: whoever opens the folder finds what each is for."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [path.stem for path in (ROOT / "kiosk").glob("*.py") if not path.stem.startswith("__")]
    assert [room for room in rooms if f"kiosk/{room}.py" not in page and f"`{room}`" not in page] == []


def test_tests_mirror_the_wings() -> None:
    """Who looks for a wing's tests finds them under its name; what is no wing's is the house's, the card image's or the bench's."""
    folders = {
        str(path.parent.relative_to(ROOT / "tests" / "unit"))
        for path in (ROOT / "tests" / "unit").rglob("test_*.py")
        if path.parent.name not in ("unit", "central", "house", "image", "bench")
    }
    wings = {path.parent.name for path in (ROOT / "kiosk").glob("*/__init__.py")}
    wings |= {f"central/{path.parent.name}" for path in (ROOT / "central").glob("*/__init__.py")}
    assert folders <= wings
