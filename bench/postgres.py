"""A PostgreSQL of a test's or a benchmark's own: real, in a temporary folder, on a private socket, without TCP.

PostgreSQL refuses to run as root, so root starts it as the user `postgres` or, failing that, `nobody`. Its durability is
what it is in earnest: fsync stays on. setpriv has the kernel end it when the process that started it dies, however it does.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import psycopg

START_S = 60.0
STOP_S = 20.0
USER = "kiosk"
ROOM_BYTES = 2_000_000_000


class Postgres:
    """One server with as many databases as are asked for; `stop` ends it and removes its folder."""

    def __init__(self, *, in_memory: bool = False) -> None:
        """Make and start it.

        Args:
            in_memory: Keep its files in memory where this machine can: for tests, which measure nothing.
        """
        shm = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it
        roomy = in_memory and shm.is_dir() and shutil.disk_usage(shm).free > ROOM_BYTES
        # A short path: a socket's has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="kiosk-pg-", dir=shm if roomy else None))
        self._names = count(1)
        self._user: pwd.struct_passwd | None = None
        if os.geteuid() == 0:
            self._user = _unprivileged()
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._run(["initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={USER}"])
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_wal_size": "4GB",
            "checkpoint_timeout": "1h",
        }
        argv = [str(_folder_of_programs() / "postgres"), "-D", str(self.folder / "data")]
        argv += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = self._started(["setpriv", "--pdeathsig", "INT", *argv], log.fileno())
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline_s or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"ledger{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # with SIGKILL its children would outlive it for a while
            self._process.wait(STOP_S)
            self._process = None

    def stop(self) -> None:
        """End it, and remove what it kept: nobody waits for its last checkpoint."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, argv: list[str]) -> None:
        program = str(_folder_of_programs() / argv[0])
        with (self.folder / "log").open("ab") as log:
            process = self._started([program, "-D", str(self.folder / "data"), *argv[1:]], log.fileno())
        if process.wait(START_S) != 0:
            raise RuntimeError((self.folder / "log").read_text())

    def _started(self, argv: list[str], log: int) -> subprocess.Popen[bytes]:
        if self._user is None:
            return subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder)
        uid, gid = self._user.pw_uid, self._user.pw_gid
        return subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder, user=uid, group=gid, extra_groups=[])


def _folder_of_programs() -> Path:
    """Debian's folder of the newest version installed, or where the path leads."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    program = found[-1] if found else shutil.which("initdb")
    if program is None:
        raise RuntimeError("there is no PostgreSQL here: apt install postgresql")
    return Path(program).resolve().parent


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
