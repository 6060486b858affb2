"""A station's card in a machine of QEMU's: started, talked to over a serial line, and killed without warning.

The guest reaches the centre's two ports, by one address, and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from imaging import disk

CARD_MIB = 8192
"""A card is larger than an image; its size is a power of two, as QEMU's card reader asks."""
GUEST_HOST = "10.0.2.100"
"""What the guest calls the centre."""
BROKER_PORT, ENROLMENT_PORT = 8883, 8443
ACCEL = ("-accel", "tcg,thread=multi,tb-size=768")
KERNEL_LINE = "ro rootfstype=ext4 panic=-1 loglevel=4 systemd.show_status=0"


class MachineError(Exception):
    """The machine did not do what was waited for; with the end of its console."""


@dataclass
class Card:
    """A copy of an image that a machine may write to.

    Attributes:
        path: Its file.
    """

    path: Path

    @classmethod
    def of(cls, image: Path, path: Path) -> Card:
        """Copy an image to a larger card."""
        disk.copy_sparse(image, path)
        os.truncate(path, CARD_MIB * disk.MIB)
        return cls(path)

    @property
    def _first(self) -> str:
        return f"{self.path}@@{disk.plan()[0].start_mib}M"

    def put(self, name: str, content: bytes, folder: Path) -> None:
        """A file onto the first partition, as a technician does."""
        source = folder / name
        source.write_bytes(content)
        self._mtools("mcopy", "-o", "-i", self._first, str(source), f"::{name}")

    def names(self) -> set[str]:
        """What lies on the first partition."""
        listed = self._mtools("mdir", "-b", "-i", self._first, "::")
        return {line.removeprefix("::/") for line in listed.splitlines() if line}

    def text(self, name: str) -> str:
        """A file of the first partition."""
        return self._mtools("mtype", "-i", self._first, f"::{name}")

    @staticmethod
    def _mtools(*argv: str) -> str:
        env = os.environ | {"MTOOLS_SKIP_CHECK": "1"}
        return subprocess.run(argv, env=env, check=True, capture_output=True, text=True, timeout=60).stdout


@dataclass
class Machine:
    """One QEMU.

    Attributes:
        folder: Where its console's log and its sockets are.
        name: Of this boot, for the log's name.
        started_s: Monotonic time of its start.
    """

    folder: Path
    name: str
    started_s: float = 0.0
    _process: subprocess.Popen[bytes] | None = None
    _line: socket.socket | None = None
    _seen: bytes = b""
    _count: int = field(default=0)

    @property
    def console(self) -> str:
        """All that was printed on its console."""
        path = self.folder / f"{self.name}.console"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, argv: list[str]) -> None:
        """Start QEMU with two serial lines: a console into a file, and a shell.

        Args:
            argv: The machine; `@SHELL@` and `@CONSOLE@` become the two lines' backends.
        """
        place = self.folder / f"{self.name}.shell"
        place.unlink(missing_ok=True)
        lines = [
            "-chardev", f"socket,id=shell,path={place},server=on,wait=off",
            "-chardev", f"file,id=console,path={self.folder / f'{self.name}.console'}",
        ]  # fmt: skip
        self.started_s = time.monotonic()
        errors = self.folder / f"{self.name}.qemu"
        with errors.open("wb") as output:
            self._process = subprocess.Popen(
                [argv[0], "-display", "none", "-monitor", "none", "-no-reboot", *lines, *argv[1:]],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        deadline_s = time.monotonic() + 20
        self._line = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._line.connect(str(place))
            except OSError as error:
                if time.monotonic() > deadline_s or self._process.poll() is not None:
                    raise MachineError(f"QEMU does not start: {errors.read_text('utf-8', 'replace')}") from error
                time.sleep(0.1)
            else:
                break

    def wait_for(self, pattern: str, limit_s: float) -> None:
        """Wait for a line on the shell's serial line.

        Raises:
            MachineError: It did not come, or the machine has ended.
        """
        self._read_until(pattern.encode(), limit_s)

    def run(self, command: str, limit_s: float = 120.0) -> str:
        """Run a command as root in the guest; what it prints, without surrounding white space.

        Raises:
            MachineError: It did not end in time.
        """
        assert self._line is not None
        self._count += 1
        begin, end = f"BEGIN-{self._count}", f"END-{self._count}"
        # In two halves, so that a line that echoes what is typed is not taken for the answer.
        self._line.sendall(f"echo BEG''IN-{self._count}; {command}\necho; echo E''ND-{self._count}\n".encode())
        answer = self._read_until(f"{end}\r?\n".encode(), limit_s)
        text = answer.decode("utf-8", "replace").replace("\r", "")
        return text.rpartition(begin)[2].rpartition(end)[0].strip()

    def greens(self) -> int:
        """How many recorded entries its console has told of."""
        return len(re.findall(r"\bscan .*\bresult=recorded\b", self.console))

    def until_greens(self, count: int, limit_s: float) -> None:
        """Wait until the console has told of this many recorded entries.

        Raises:
            MachineError: It did not come to that.
        """
        deadline_s = time.monotonic() + limit_s
        while self.greens() < count:
            if time.monotonic() > deadline_s:
                raise MachineError(f"{self.greens()} greens instead of {count} after {limit_s:.0f} s:\n{self._tail()}")
            self._look_alive()
            time.sleep(0.2)

    def until_said(self, pattern: str, limit_s: float) -> None:
        """Wait until the console has told of this.

        Raises:
            MachineError: It has not.
        """
        deadline_s = time.monotonic() + limit_s
        while not re.search(pattern, self.console):
            if time.monotonic() > deadline_s:
                raise MachineError(f"nothing of {pattern!r} after {limit_s:.0f} s:\n{self._tail()}")
            self._look_alive()
            time.sleep(0.2)

    def pull_the_plug(self) -> None:
        """End it at once, as a power cut does: what the guest has not flushed is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)
        if self._line is not None:
            self._line.close()
            self._line = None

    def power_off(self, limit_s: float) -> None:
        """Shut it down in order, and wait for that; a board that cannot cut its own power says so and stands still.

        Raises:
            MachineError: It does not shut down.
        """
        assert self._line is not None
        assert self._process is not None
        self._line.sendall(b"systemctl poweroff\n")
        deadline_s = time.monotonic() + limit_s
        try:
            while self._process.poll() is None and "reboot: Power off not available" not in self.console:
                if time.monotonic() > deadline_s:
                    raise MachineError(f"it does not shut down:\n{self._tail()}")
                time.sleep(0.2)
        finally:
            self.pull_the_plug()

    def _read_until(self, pattern: bytes, limit_s: float) -> bytes:
        assert self._line is not None
        deadline_s = time.monotonic() + limit_s
        while not (found := re.search(pattern, self._seen)):
            if time.monotonic() > deadline_s:
                raise MachineError(
                    f"no {pattern!r} after {limit_s:.0f} s; the shell said {self._seen!r}\n{self._tail()}"
                )
            self._look_alive()
            self._line.settimeout(1.0)
            try:
                self._seen += self._line.recv(65536)
            except TimeoutError:
                continue
        answer, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return answer

    def _look_alive(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            errors = (self.folder / f"{self.name}.qemu").read_text("utf-8", "replace")
            raise MachineError(f"QEMU has ended with code {self._process.returncode}: {errors}\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self.console.splitlines()[-40:])


def virt(
    card: Card, parts: Path, ports: dict[int, int], tree: Path, words: str = "", *, pins: bool = True
) -> list[str]:
    """QEMU's own machine with this card.

    Args:
        card: The card.
        parts: Folder of vmlinuz and initrd.
        ports: Of the guest's centre to those of this machine's loopback; all that the guest can reach.
        tree: A file to be made: the machine's device tree with a Pi's revision.
        words: Further ones of the kernel's command line.
        pins: Whether its kernel has a simulated chip of pins.
    """
    words += " kiosk.pins=1" if pins else ""
    machine = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"]
    subprocess.run(
        [*machine[:2], f"{machine[2]},dumpdtb={tree}", *machine[3:], "-display", "none", "-nodefaults"],
        check=True,
        capture_output=True,
    )
    # The simulated chip shall be the first one.
    _as_a_pi(tree, "a02082", "/gpio-keys", "/pl061@9030000")
    return [
        *machine, *ACCEL, "-nodefaults", "-dtb", str(tree),
        "-kernel", str(parts / "vmlinuz"), "-initrd", str(parts / "initrd"),
        "-append", f"root=/dev/vda5 {KERNEL_LINE} console=ttyAMA0 kiosk.ci=hvc0 {words}",
        "-serial", "chardev:console",
        "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=shell", "-device", "virtio-rng-pci",
        "-drive", f"file={card.path},format=raw,if=virtio,cache=writeback",
        *_network(ports), "-device", "virtio-net-pci,netdev=net,romfile=",
    ]  # fmt: skip


def raspi3b(card: Card, parts: Path, ports: dict[int, int], tree: Path) -> list[str]:
    """QEMU's Raspberry Pi 3 B with this card in its reader: the chip's own pins, a network through USB, no clock.

    Args:
        card: The card.
        parts: Folder of vmlinuz, initrd and the board's device tree.
        ports: Of the guest's centre to those of this machine's loopback; all that the guest can reach.
        tree: A file to be made: the device tree as a Pi's firmware hands it over.
    """
    shutil.copy(parts / "bcm2837-rpi-3-b.dtb", tree)
    # The first serial line is the shell's and not a radio's; on the second, nothing that is typed comes in.
    _as_a_pi(tree, "a02082", "/soc/serial@7e201000/bluetooth")
    return [
        "qemu-system-aarch64", "-M", "raspi3b", *ACCEL, "-nodefaults", "-dtb", str(tree),
        "-kernel", str(parts / "vmlinuz"), "-initrd", str(parts / "initrd"),
        "-append", f"root=/dev/mmcblk0p5 {KERNEL_LINE} console=ttyS1,115200 kiosk.ci=ttyAMA0",
        "-serial", "chardev:shell", "-serial", "chardev:console",
        "-drive", f"file={card.path},format=raw,if=sd,cache=writeback",
        *_network(ports), "-device", "usb-net,netdev=net",
    ]  # fmt: skip


def _as_a_pi(tree: Path, revision: str, *without: str) -> None:
    """Give a device tree a Pi's name and its revision, which gpiozero reads there, and take nodes out of it."""
    subprocess.run(["fdtput", "-t", "s", str(tree), "/", "model", "Raspberry Pi of QEMU's"], check=True)
    subprocess.run(["fdtput", "-p", "-t", "x", str(tree), "/system", "linux,revision", revision], check=True)
    for node in without:
        subprocess.run(["fdtput", "-r", str(tree), node], check=True)


def _network(ports: dict[int, int]) -> list[str]:
    nc = shutil.which("nc")
    assert nc is not None, "apt install netcat-openbsd"
    ways = "".join(f",guestfwd=tcp:{GUEST_HOST}:{its}-cmd:{nc} 127.0.0.1 {mine}" for its, mine in ports.items())
    return ["-netdev", f"user,id=net,restrict=on{ways}"]
