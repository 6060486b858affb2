"""Setting up: a sentence with the remedy wherever it cannot go on, and each verb brings what it needs and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = (ROOT / "setup.sh").read_text("utf-8")
TOOLS = "awk bash cat cut date dirname env grep head ln ls mkdir sed sort stat stty tail tr true wc".split()
PARTS = (
    "demo, centre, docs, sheets, test, test-all, check, bench, bench-collector, fuzz, audit, image, faults, test-image, "
    "cluster, units, boards, brokers, updates, page"
)
# A Python that has everything, and makes environments whose Python is itself.
PYTHON = """
case "$*" in
*print*) echo "${VERSION:-3.11.2}" ;;
*version_info*) [ -z "${VERSION:-}" ] ;;
*"import ensurepip"*) [ -z "${NO_ENSUREPIP:-}" ] ;;
"-m venv"*) for folder; do :; done; mkdir -p "$folder/bin" && ln -s "$0" "$folder/bin/python" && : >"$folder/pyvenv.cfg" ;;
"-m pip"*) printf "%b\\n" "${PIP_SAYS:-}"; exit "${PIP_CODE:-0}" ;;
esac
"""
APT = """case "$*" in *install*) printf "%b\\n" "${APT_SAYS:-}"; exit "${APT_CODE:-0}" ;; esac"""
USER = """case $1 in -u) echo 1000 ;; -un) echo door ;; esac"""
ROOT_USER = """case $1 in -u) echo 0 ;; -un) echo root ;; esac"""
LOG = "said is in build/setup.log"
UNREACHED = "W: Failed to fetch http://x/  Temporary failure resolving 'x'\\nE: Unable to locate package mosquitto"
NOT_KNOWN = "E: Unable to locate package rauc\\nE: Package 'zstd' has no installation candidate"
LOCKED = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)"
BROKEN = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"
NO_INDEX = (
    "WARNING: Retrying (Retry(total=2)) after connection broken by 'NewConnectionError(no route)'\\n"
    "ERROR: Could not find a version that satisfies the requirement setuptools>=77\\n"
    "ERROR: No matching distribution found for setuptools>=77"
)
DISTRUST = "WARNING: SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))\\nERROR: x"
NO_WHEEL = "ERROR: No matching distribution found for apsw>=3.46"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """setup.sh in a machine of its own: which programs there are, what they say, and which packages are there."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (bin_ / tool).symlink_to(found)
    # A package is there if the test says so, whatever this machine has.
    there = tmp_path / "there"
    there.mkdir()
    isolated, count = re.subn(
        r"^(\S+ +\|) (?:command|library|file) \S+$", rf"\1 file {there}/\1", SCRIPT, flags=re.MULTILINE
    )
    assert count > 20
    (tmp_path / "setup.sh").write_text(re.sub(r"/(\S+) +\|$", r"/\1", isolated, flags=re.MULTILINE))

    def shim(name: str, text: str) -> None:
        (bin_ / name).unlink(missing_ok=True)
        (bin_ / name).write_text(f"#!/bin/bash\n{text}\n")
        (bin_ / name).chmod(0o755)

    def run(
        *words: str, has: str = "", shims: dict[str, str] | None = None, **says: str
    ) -> subprocess.CompletedProcess[str]:
        for package in has.split():
            (there / package).touch()
        for name, text in {"python3": PYTHON, "id": ROOT_USER, "apt-get": APT, **(shims or {})}.items():
            shim(name, text)
        return subprocess.run(
            ["bash", str(tmp_path / "setup.sh"), *words],
            env={"PATH": str(bin_), **says}, cwd=tmp_path, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


DEMO = ("python3", ".venv", "demo")
CANNOT: dict[str, tuple[tuple[str, ...], dict[str, object], str]] = {
    "no arguments": (
        (),
        {},
        f"say which Python, which folder and which part, as in ./setup.sh python3 .venv demo, or type make demo; parts: {PARTS}",
    ),
    "no such part": (("python3", ".venv", "demmo"), {}, f"there is no part demmo; parts: {PARTS}"),
    "no such Python": (
        ("python3.10", ".venv", "demo"),
        {},
        "there is no python3.10 here: name Python 3.11 or newer, as in make PYTHON=python3",
    ),
    "Python that does not start": (
        DEMO,
        {"shims": {"python3": "exit 127"}},
        "python3 does not start: name Python 3.11 or newer, as in make PYTHON=python3",
    ),
    "old Python": (
        DEMO,
        {"VERSION": "3.9.2"},
        "python3 is Python 3.9.2, which is too old: name Python 3.11 or newer, as in make PYTHON=python3.12",
    ),
    "neither root nor sudo": (
        DEMO,
        {"shims": {"id": USER}, "NO_ENSUREPIP": "1"},
        (
            "missing libzbar0 mosquitto python3-venv, and only root may install: run sudo apt-get install -y "
            "--no-install-recommends libzbar0 mosquitto python3-venv, then this again"
        ),
    ),
    "sudo that asks for a password": (
        DEMO,
        {"shims": {"id": USER, "sudo": "exit 1"}, "has": "mosquitto"},
        "missing libzbar0, and only root may install: run sudo apt-get install -y --no-install-recommends libzbar0, then this again",
    ),
    "a Python beside Debian's without venv": (
        ("python3.12", ".venv", "docs"),
        {"shims": {"id": USER, "python3.12": PYTHON}, "has": "libzbar0", "NO_ENSUREPIP": "1"},
        "missing python3.12-venv, and only root may install: run sudo apt-get install -y --no-install-recommends python3.12-venv, then this again",
    ),
    "apt without a network": (
        DEMO,
        {"has": "libzbar0", "APT_SAYS": UNREACHED, "APT_CODE": "100"},
        f"apt cannot reach its archives to install mosquitto: connect this machine to a network and run it again; what apt {LOG}",
    ),
    "packages that apt does not know": (
        DEMO,
        {"APT_SAYS": NOT_KNOWN, "APT_CODE": "100"},
        f"apt knows no package rauc zstd: look at apt's sources, or connect this machine to a network, and run it again; what apt {LOG}",
    ),
    "another apt": (
        DEMO,
        {"APT_SAYS": LOCKED, "APT_CODE": "100"},
        f"another apt has been at work for five minutes: let it end and run it again; what apt {LOG}",
    ),
    "apt in trouble of its own": (
        DEMO,
        {"APT_SAYS": BROKEN, "APT_CODE": "100", "has": "libzbar0"},
        f"apt could not install mosquitto ({BROKEN}): mend that and run it again; what apt {LOG}",
    ),
    "pip without a network": (
        DEMO,
        {"PIP_SAYS": NO_INDEX, "PIP_CODE": "1"},
        (
            "pip cannot reach the package index: connect this machine to a network, or name a mirror with PIP_INDEX_URL, and run it "
            f"again; what pip {LOG}"
        ),
    ),
    "pip before a certificate of the house's own": (
        DEMO,
        {"PIP_SAYS": DISTRUST, "PIP_CODE": "1"},
        (
            "pip does not trust the package index's certificate: name the file of its authority with PIP_CERT and run it again; "
            f"what pip {LOG}"
        ),
    ),
    "pip that finds no wheel": (
        DEMO,
        {
            "PIP_SAYS": NO_WHEEL,
            "PIP_CODE": "1",
            "shims": {"python3": PYTHON + 'case $1 in --version) echo "Python 3.15.0" ;; esac'},
        },
        f"pip found no apsw>=3.46 for Python 3.15.0: name another Python, as in make PYTHON=python3.13 VENV=.venv2, and run it again; what pip {LOG}",
    ),
    "a full disk": (
        DEMO,
        {"PIP_SAYS": "ERROR: Could not install: [Errno 28] No space left on device", "PIP_CODE": "1"},
        f"the disk is full: make room (the project needs about 1 GB) and run it again; what pip {LOG}",
    ),
    "pip in trouble of its own": (
        DEMO,
        {"PIP_SAYS": "  error: metadata-generation-failed", "PIP_CODE": "1"},
        f"pip failed (error: metadata-generation-failed): mend that and run it again; what pip {LOG}",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_go_on_is_told_in_one_sentence(run: Run, case: str) -> None:
    """The exact last line, exit code 2, and nothing of apt's or pip's own words on the screen."""
    words, machine, sentence = CANNOT[case]
    done = run(*words, **({"has": "libzbar0 mosquitto"} if "PIP_SAYS" in machine else {}), **machine)
    *before, last = done.stderr.splitlines()
    assert last == f"setup: {sentence}"
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(line.startswith(("setup: installing ", "setup: apt is done")) for line in before), before


def test_machine_without_apt_is_told_what_to_install(run: Run, tmp_path: Path) -> None:
    """The names that Debian gives the packages help on other systems, too."""
    run(*DEMO)
    (tmp_path / "bin" / "apt-get").unlink()
    (tmp_path / "bin" / "apt-get").symlink_to("/nowhere")
    done = subprocess.run(
        ["bash", "setup.sh", "python3", ".venv", "sheets"],
        env={"PATH": str(tmp_path / "bin")}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "setup: missing libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core, and this machine has no apt: install what Debian calls so by hand, or "
        "use Debian 12 or 13"
    )


def test_demo_goes_on_without_mosquitto(run: Run) -> None:
    """Where only the broker is missing and nobody may install it, the demo has one in Python; the words say so."""
    done = run(*DEMO, has="libzbar0", shims={"id": USER})
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        "setup: mosquitto is not installed; the demo goes on with a broker in Python in its place (the real one: sudo apt-get install "
        "-y --no-install-recommends mosquitto)"
    )


def test_sudo_that_asks_for_nothing_installs(run: Run, tmp_path: Path) -> None:
    """Whoever may become root without a password need not type apt's line."""
    sudo = '[ "$1" = -n ] && shift; echo "$*" >>sudo.log; exec "$@"'
    done = run(*DEMO, has="libzbar0", shims={"id": USER, "sudo": sudo})
    assert done.returncode == 0, done.stderr
    assert "install -y --no-install-recommends mosquitto" in (tmp_path / "sudo.log").read_text()


def test_words_of_apt_and_pip_go_into_the_log(run: Run, tmp_path: Path) -> None:
    """A set-up that succeeds takes four lines of the screen; warnings of an odd package index are in the log."""
    done = run("python3", ".venv", "test", APT_SAYS="Unpacking libzbar0", PIP_SAYS="WARNING: Location 'x' is ignored")
    assert done.returncode == 0, done.stderr
    assert [re.sub(r"\d+ s$", "1 s", line) for line in done.stderr.splitlines()] == [
        "setup: installing libzbar0 mosquitto fonts-dejavu-core shellcheck openssh-client e2fsprogs node-qrcode-generator with apt",
        "setup: apt is done after 1 s",
        "setup: installing the project with [test] into .venv with pip",
        "setup: pip is done after 1 s",
    ]
    log = (tmp_path / "build" / "setup.log").read_text()
    assert "Unpacking libzbar0" in log
    assert "WARNING: Location 'x' is ignored" in log


def test_environment_that_is_half_made_is_made_anew(run: Run, tmp_path: Path) -> None:
    """A set-up that was interrupted does not stand in the way of the next one."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    done = run(*DEMO, has="libzbar0 mosquitto")
    assert done.returncode == 0
    assert (
        done.stderr.splitlines()[0] == "setup: .venv does not work (half made, or its Python is gone): making it anew"
    )
    assert "--clear" in (tmp_path / "build" / "setup.log").read_text()


def test_folder_with_other_things_is_not_made_an_environment(run: Run, tmp_path: Path) -> None:
    """VENV= with a slip of the pen empties nobody's folder."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    done = run("python3", "photos", "demo", has="libzbar0 mosquitto")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "setup: photos is there and is no virtual environment of Python's: name another folder, as in make VENV=.venv2"
    )
    assert (tmp_path / "photos" / "one.jpg").exists()


def test_folder_of_somebody_else_is_named(run: Run, tmp_path: Path) -> None:
    """Who set up as root and comes back as a user is told whose folder it is."""
    owner = tmp_path.owner()
    done = run("python3", "/proc/nowhere/.venv", "demo", shims={"id": USER})
    assert done.returncode == 2
    assert done.stderr == (
        f"setup: door may not write to /proc/nowhere/.venv, which belongs to {owner}: run it as {owner}, or work in a copy of your own\n"
    )


def _rows(name: str) -> dict[str, list[str]]:
    found = re.search(rf"^{name}=(['\"])\n(.*?)\n\1", SCRIPT, re.MULTILINE | re.DOTALL)
    test = re.search(r"^test='(.*)'$", SCRIPT, re.MULTILINE)
    assert found
    assert test
    rows = [[cell.strip() for cell in line.replace("$test", test[1]).split("|")] for line in found[2].splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_parts_name_what_there_is() -> None:
    """Each verb's part is in the table, each extra in pyproject.toml, each package has a way to see that it is there."""
    parts, packages = _rows("parts"), _rows("packages")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = set(re.findall(r"/\.ready-([a-z-]+)", (ROOT / "Makefile").read_text("utf-8")))
    assert wanted == set(parts)
    assert {extra for extra, _ in parts.values() if extra} <= set(project["optional-dependencies"])
    assert {package for _, needed in parts.values() for package in needed.split()} <= set(packages)


@pytest.mark.parametrize("part", ["demo", "docs", "sheets", "image", "bench", "test", "check", "centre"])
def test_small_verbs_need_no_servers_and_no_updater(part: str) -> None:
    """PostgreSQL, RabbitMQ and RAUC are for those who test or build with them."""
    assert not {"postgresql", "rabbitmq-server", "rauc"} & set(_rows("parts")[part][1].split())


def test_name_on_the_index_is_our_own() -> None:
    """`kiosk` there is somebody else's: nothing tells anybody to install that, and the project is not called so."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "door-station-kiosk"
    assert set(project["scripts"]) == {"kiosk", "central"}
    folders = ("kiosk", "central", "bench", "docs", "config", "image-build", "systemd", "tests", ".ci")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"
    ]
    files += [ROOT / "Makefile", *ROOT.glob("*.sh"), *ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    assert len(files) > 500
    wrong = re.compile(r"install\b[^\n]*?[ '\"](?:kiosk|door-station-kiosk)(?:\[|['\"]?$)", re.MULTILINE)
    assert wrong.search("pip install 'kio" + "sk[centre]'")
    assert not [path for path in files if wrong.search(path.read_text("utf-8", errors="replace"))]


def test_help_is_a_table() -> None:
    """However long a verb is, what it does begins in the same column."""
    argv = ["make", "--no-print-directory", "help", f"PYTHON={sys.executable}"]
    lines = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert len(lines) > 30
    columns = {re.match(r"[a-z-]+ +", line).end() for line in lines}  # type: ignore[union-attr]
    assert len(columns) == 1


def test_shell_has_the_commands_on_its_path() -> None:
    """`make shell`, as README says it: `kiosk` and `central` are found there, those of this environment."""
    argv = ["make", "--no-print-directory", "-o", f"{sys.prefix}/.ready-demo", f"VENV={sys.prefix}", "shell"]
    typed = "command -v kiosk central\nexit\n"
    done = subprocess.run(argv, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=60, check=True)
    assert [line for line in done.stdout.splitlines() if line.endswith(("/kiosk", "/central"))] == [
        f"{sys.prefix}/bin/kiosk",
        f"{sys.prefix}/bin/central",
    ]
