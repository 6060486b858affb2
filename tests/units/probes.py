"""Run inside a service's sandbox, as its user: tries what must not be possible there, and writes what came of it as JSON.

python3 probes.py scan|uplink
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
STATE = Path("/var/lib/kiosk")
PROT_EXEC_WRITE = 7
NR = {"init_module": 175, "bpf": 321, "add_key": 248, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425}


def _call(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _execute_in(folder: Path) -> None:
    program = folder / "probe-true"
    shutil.copy("/bin/true", program)
    program.chmod(0o700)
    try:
        subprocess.run([str(program)], check=True)
    finally:
        program.unlink()


def _connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as out:
        out.settimeout(2)
        out.connect(("127.0.0.1", 1883))


def _listen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 18099))
        server.listen()


def _raw() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _packet() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def _write_and_execute() -> None:
    mmap.mmap(-1, 4096, prot=PROT_EXEC_WRITE).close()


def _turn_executable() -> None:
    with mmap.mmap(-1, 4096) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        _call(LIBC.mprotect(ctypes.c_void_p(address), 4096, 5))


def _open(path: str, mode: str = "rb") -> Callable[[], None]:
    def opened() -> None:
        with Path(path).open(mode):
            pass

    return opened


def _list(path: str) -> Callable[[], None]:
    def listed() -> None:
        if not list(Path(path).iterdir()):
            raise FileNotFoundError(2, "empty")

    return listed


def _kill_other() -> None:
    for pid in (path.name for path in Path("/proc").iterdir() if path.name.isdigit()):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"-m\0kiosk\0" in command:
            os.kill(int(pid), 0)
            return
    raise ProcessLookupError(3, "no other process is seen")


def _devices() -> None:
    """Whatever is in /dev beyond the harmless ones and can be opened."""
    harmless = {
        "null",
        "zero",
        "full",
        "random",
        "urandom",
        "tty",
        "ptmx",
        "log",
        "core",
        "fd",
        "stdin",
        "stdout",
        "stderr",
    }
    for path in Path("/dev").iterdir():
        if path.name not in harmless and (path.is_char_device() or path.is_block_device()):
            with path.open("rb"):
                raise AssertionError(path)
    raise FileNotFoundError(2, "no device is there")


def _core_dump() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))


def _root_file() -> None:
    path = STATE / "probe-setuid"
    path.touch()
    try:
        path.chmod(0o4755)
    finally:
        path.unlink()


def _nodes() -> None:
    os.mknod(STATE / "probe-mem", 0o600 | 0o020000, os.makedev(1, 1))


def _set_time() -> None:
    time = (ctypes.c_long * 2)(1, 0)
    _call(LIBC.clock_settime(0, ctypes.byref(time)))


BOTH: dict[str, Callable[[], object]] = {
    "open a listening port": _listen,
    "open a raw socket": _raw,
    "open a packet socket": _packet,
    "execute from the state folder": lambda: _execute_in(STATE),
    "execute from the marks' folder": lambda: _execute_in(Path("/run/kiosk")),
    "execute from /tmp": lambda: _execute_in(Path("/tmp")),  # noqa: S108  the point of it
    "map memory to write and execute": _write_and_execute,
    "make written memory executable": _turn_executable,
    "read /etc/shadow": _open("/etc/shadow"),
    "read root's home": _list("/root"),
    "read another user's home": _list("/home"),
    "write to /usr": lambda: Path("/usr/probe").touch(),
    "write to /etc": lambda: Path("/etc/kiosk/probe").touch(),
    "write a kernel setting": lambda: Path("/proc/sys/kernel/hostname").write_text("probe", "ascii"),
    "set the clock": _set_time,
    "become root": lambda: os.setuid(0),
    "make a setuid file": _root_file,
    "make a device node": _nodes,
    "mount": lambda: _call(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    "leave for a namespace of its own": lambda: _call(LIBC.unshare(0x10000000)),
    "trace a process": lambda: _call(LIBC.ptrace(16, os.getppid(), 0, 0)),
    "load a kernel module": lambda: _call(LIBC.syscall(NR["init_module"], 0, 0, b"")),
    "load a BPF program": lambda: _call(LIBC.syscall(NR["bpf"], 0, 0, 0)),
    "use the kernel's keyring": lambda: _call(LIBC.syscall(NR["add_key"], b"user", b"k", b"v", 1, -3)),
    "set the host's name": lambda: _call(LIBC.sethostname(b"probe", 5)),
    "restart a service": lambda: subprocess.run(
        ["systemctl", "restart", "kiosk-wpa.service"], check=True, timeout=20, capture_output=True
    ),
    "restart the board": lambda: _call(LIBC.reboot(0)),
    "be scheduled before all others": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
    "read the machine's memory": _open("/dev/mem"),
    "read the kernel's log": _open("/dev/kmsg"),
    "see or signal the other process": _kill_other,
    "dump core": _core_dump,
}
OF: dict[str, dict[str, Callable[[], object]]] = {
    "scan": {
        "reach the network": _connect,
        "read the uplink's key": _open("/var/lib/kiosk/identity/key.pem"),
        "replace the uplink's key": lambda: Path("/var/lib/kiosk/identity/key.pem").unlink(),
        "read the uplink's credentials": _open("/run/credentials/kiosk-uplink.service/kiosk-uplink.password"),
        "fake the uplink's marks": lambda: Path("/run/kiosk/uplink.json").unlink(),
        "write into the uplink's marks": _open("/run/kiosk/uplink.json", "r+b"),
    },
    "uplink": {
        "open any device": _devices,
        "fake the scan process's marks": lambda: Path("/run/kiosk/scan-main.json").unlink(),
        "write into the scan process's marks": _open("/run/kiosk/scan-main.json", "r+b"),
        "tell other pins than the scan process holds": _open("/run/kiosk/pins-main.json", "r+b"),
    },
}


def main(service: str) -> None:
    """Try everything; print {what: how it was refused, or "ALLOWED"}."""
    results = {}
    for name, probe in {**BOTH, **OF[service]}.items():
        try:
            probe()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            results[name] = str(error)
        else:
            results[name] = "ALLOWED"
    print(json.dumps(results), flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    main(sys.argv[1])
