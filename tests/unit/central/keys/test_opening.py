"""Who opened is who the kernel says, whatever the environment says."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from central.keys import opening


def test_no_word_of_the_environment_names_anybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither LOGNAME nor what others read first; sudo's word is told as sudo's."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "giam-doc.tran")
    monkeypatch.setenv("SUDO_USER", "giam-doc\x1b[2J.tran")
    said = opening.user(tmp_path / "none")
    assert said.split(", ")[0] == pwd.getpwuid(os.getuid()).pw_name
    assert ("giam-doc" in said) is (os.getuid() == 0)
    assert said.isprintable()
    assert "giam-doc" not in said.replace("sudo says giam-doc", "")


@pytest.mark.parametrize(("login", "told"), [("0", "root"), ("999999", "999999"), (str(2**32 - 1), ""), ("x", "")])
def test_login_is_told_where_it_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, login: str, told: str
) -> None:
    """As whom the session began, which neither su nor sudo changes; a user without a name is a number."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 888_888)
    (tmp_path / "loginuid").write_text(login)
    said = opening.user(tmp_path / "loginuid")
    assert said == ("888888" if not told else f"888888, logged in as {told}")
