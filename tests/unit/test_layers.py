"""Who may import whom; and the page that says so says it of every module."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
# Words and forms: what travels, what is signed, what is sealed.
SHARED = {
    "kiosk", "kiosk.authority", "kiosk.cbor", "kiosk.cose", "kiosk.durable", "kiosk.errors", "kiosk.model", "kiosk.provisioning", "kiosk.remote",
    "kiosk.seal", "kiosk.trust_list", "kiosk.update", "kiosk.wire",
}  # fmt: skip
# Whoever issues a pass, or says whom to believe, writes the form that a station reads, from the modules that define it.
ISSUERS = {
    "central.trust_commands": {"kiosk.credential.trust", "kiosk.issuers"},
    "central.pass_commands": {"kiosk.credential.personal_pass", "kiosk.credential.trust"},
}


def test_layers_hold() -> None:
    """Modules import downwards only, decisions do no I/O, and the kiosk does not know the centre."""
    argv = [str(Path(sys.executable).with_name("lint-imports"))]
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_centre_shares_words_and_forms_only() -> None:
    """What the centre imports of the kiosk is listed above; a station's hands are none of its business."""
    graph = grimp.build_graph("kiosk", "central", cache_dir=None)
    strange = [
        f"{module} -> {used}"
        for module in sorted(graph.modules)
        if module.partition(".")[0] == "central"
        for used in graph.find_modules_directly_imported_by(module)
        if used.partition(".")[0] == "kiosk" and used not in SHARED | ISSUERS.get(module, set())
    ]
    assert not strange


def test_page_places_every_module_once() -> None:
    """docs/architecture.md names each module in one layer, and the layers lie upon each other as the linter's do."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    block = page.partition("## Layers")[2].split("```")[1]
    levels: dict[str, int] = {}
    level = 0
    for row in block.strip().splitlines():
        level = int(row[0]) if row[0].isdigit() else level
        for name in re.findall(r"(?:(?<=  )|(?<=· ))(\w+)/?(?= ·|$)", row):
            assert name not in levels, name
            levels[name] = level
    there = {
        path.stem for path in (ROOT / "kiosk").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert set(levels) == there - {"__init__"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (rows,) = (contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    by_linter = [levels[name] for row in rows for name in row.split(" | ")]
    assert by_linter == sorted(by_linter, reverse=True)
    assert {name for row in rows for name in row.split(" | ")} == set(levels)
