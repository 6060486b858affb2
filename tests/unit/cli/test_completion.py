"""Real shells complete words, actions and options of both programs from what the programs print for them."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from central.__main__ import PROGRAM as CENTRAL
from kiosk.__main__ import PROGRAM as KIOSK
from kiosk.cli import completion, words

PROGRAMS = {"kiosk": KIOSK, "central": CENTRAL}
TYPED = [
    ("kiosk ou", "outbox"),
    ("kiosk sup", "support-bundle"),
    ("kiosk demo --pe", "--people"),
    ("kiosk update st", "status"),
    ("central op", "open openings"),
    ("central fleet re", "replace revoke"),
    ("central fleet list --si", "--silent-hours"),
    ("central entries --format x", "xlsx"),
    ("central pass revocations --re", "--registry"),
    ("central keys make --zo", "--zone"),
    ("central keys make --utc", ""),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both programs' scripts for both shells."""
    folder = tmp_path_factory.mktemp("completion")
    for name, program in PROGRAMS.items():
        for shell in completion.SHELLS:
            (folder / f"{name}.{shell}").write_text(completion.script(words.parser_of(program), shell), "utf-8")
    return folder


@pytest.mark.parametrize(("typed", "offered"), TYPED, ids=[typed for typed, _ in TYPED])
def test_bash_completes(typed: str, offered: str, scripts: Path) -> None:
    """As a TAB would: the function that the script names is asked with the words so far."""
    program, *_ = typed.split()
    ask = (
        f"source {scripts}/{program}.bash; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); COMP_TYPE=9\n"
        f'function=$(complete -p {program} | sed "s/.*-F \\([^ ]*\\).*/\\1/"); "$function"; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=30, check=True)
    assert sorted(done.stdout.split()) == offered.split()
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes(scripts: Path, tmp_path: Path) -> None:
    """A zsh in a terminal of its own, with a TAB that is typed: the words appear on the line."""
    main, side = pty.openpty()
    environment = {**os.environ, "ZDOTDIR": str(tmp_path), "TERM": "vt100", "HOME": str(tmp_path)}
    (tmp_path / ".zshrc").write_text(
        f"PS1='ready> '\n"
        f"autoload -U compinit; compinit -u -D\n"
        f'eval "$(cat {scripts}/kiosk.zsh)"; eval "$(cat {scripts}/central.zsh)"; echo LOADED\n'
    )
    with subprocess.Popen(
        ["zsh", "-i"], stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True
    ) as shell:
        os.close(side)
        try:
            _seen(main, r"LOADED[\s\S]*ready> ")
            for typed, completed in (("kiosk ou", "outbox"), ("central fleet list --si", "lent-hours")):
                os.write(main, f"{typed}\t".encode())
                _seen(main, completed)
                os.write(main, b"\x15")
        finally:
            shell.kill()
            os.close(main)


def _seen(terminal: int, pattern: str) -> None:
    """Wait until this has appeared."""
    shown, deadline_s = "", time.monotonic() + 30
    while not re.search(pattern, shown):
        assert time.monotonic() < deadline_s, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 4096).decode("utf-8", "replace")


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_prints_its_completion(program: str) -> None:
    """`--print-completion bash` is the whole script, and nothing else; another shell is refused."""
    argv = [sys.executable, "-m", program, "--print-completion"]
    done = subprocess.run([*argv, "bash"], capture_output=True, text=True, timeout=60, check=True)
    assert f"-F _shtab_{program} {program}\n" in done.stdout
    assert done.stderr == ""
    refused = subprocess.run([*argv, "fish"], capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "'fish' is none of bash, zsh" in refused.stderr
