"""What the tree contains, the project wrote: what others wrote comes from packages, by name and version."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LARGEST_BYTES = 40_000
LONG_LISTS = {"image-build/requirements.lock", "kiosk/language/vi.po"}
"""As long as the packages are many, and as the sentences that programs say: `make image-lock` and `make words` gather them."""
WRITTEN_BY_HAND = {".js", ".mjs", ".css", ".html", ".sh", ".py"}
LONGEST_LINE = 400
# Each word is broken, because this file is one of those that are looked at.
NOTICE = re.compile(
    r"copy" + r"right\s*(?:\(c\)|©|\d{4}|by\b)"
    r"|@(?:lic" + r"ense|pre" + r"serve)\b"
    r"|SPDX-" + r"License-Identifier"
    r"|(?:licen[sc]ed|distributed|released) un" + r"der the"
    r"|all rights re" + r"served"
    r"|permission is here" + r"by granted"
    r"|redistribution and u" + r"se in source",
    re.IGNORECASE,
)
FOREIGN_PLACE = re.compile(
    r"(?:^|/)(?:node_modules|vendor|vendored|third[-_]party|extern(?:al)?)/|\.min\.\w+$|(?:^|/)(?:LICEN[SC]E|COPYING)\b"
)


def _why_foreign(name: str, content: bytes) -> list[str]:
    """What speaks against this file being the project's own work."""
    reasons = []
    if found := FOREIGN_PLACE.search(name):
        reasons.append(f"its name has {found[0]}")
    if len(content) > LARGEST_BYTES and name not in LONG_LISTS:
        reasons.append(f"{len(content)} bytes")
    text = content.decode("utf-8", "replace")
    if found := NOTICE.search(text):
        reasons.append(f"it says {found[0]}")
    longest = max(map(len, text.splitlines()), default=0)
    if Path(name).suffix in WRITTEN_BY_HAND and longest > LONGEST_LINE:
        reasons.append(f"a line of {longest} characters")
    return reasons


def test_nothing_in_the_tree_is_copied() -> None:
    """No file carries somebody's notice, lies where foreign work lies, is packed into long lines, or is too large to be written."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    files = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert len(files) > 100
    assert {name: why for name in files if (why := _why_foreign(name, (ROOT / name).read_bytes()))} == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.js", b"// Copy" + b"right (c) 2009 Somebody"),
        ("a.js", b"/*! @lic" + b"ense MIT */"),
        ("a.css", b"/* Released un" + b"der the MIT licence */"),
        ("a.py", b"# SPDX-" + b"License-Identifier: MIT"),
        ("a.sh", b"# Permission is here" + b"by granted, free of charge,"),
        ("a.min.js", b""),
        ("docs/vendor/a.js", b""),
        ("COPYING", b""),
        ("a.js", b"x" * 401),
        ("a.json", b"{}\n" * 20_000),
    ],
)
def test_what_is_copied_is_noticed(name: str, content: bytes) -> None:
    """Each of the signs is enough."""
    assert len(_why_foreign(name, content)) == 1
