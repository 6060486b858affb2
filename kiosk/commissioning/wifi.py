"""Joining a wireless network, in two halves: the uplink, which has read the signed code, asks; root's own small unit does it.

The uplink's sandbox can neither speak to NetworkManager, whose rules want an administrator, nor start anything. So it leaves the name and
the password in a file of its own, and waits for a mark:

    uplink:  identity/wifi.json ──▶ kiosk-wifi.path ──▶ kiosk-wifi.service (root): `kiosk wifi`
    root:    nmcli, where it is installed; else a file in memory for kiosk-wpa.service ──▶ wifi-applied ──▶ uplink

Root believes nothing of the file but its form: a network's name goes to wpa_supplicant as hexadecimal digits, and the password as the
key that the standard makes of it. Whoever has the uplink can make the station join another network; TLS stands behind that.

Units: `_s` seconds.

Sources:
    [1] IEEE 802.11i: the key is PBKDF2-HMAC-SHA1 of the passphrase, salted with the name, 4,096 rounds, 32 bytes.
    [2] wpa_supplicant.conf(5): a name without quotes is hexadecimal; 64 hexadecimal digits are a key.
    [3] nmcli(1): without `hidden yes` "the SSID would not be found and the connection attempt would fail".
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.commissioning import identity
from kiosk.disk import durable, shared
from kiosk.envelopes.provisioning_code import NO_WIFI, NOT_KEPT, Wifi, wifi_of
from kiosk.errors import ProvisionError
from kiosk.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable

WISH = "wifi.json"
MARK = "wifi-applied"
JOINED, WRITTEN, FAILED = "joined", "written", "failed"
WPA_UNIT = "kiosk-wpa.service"
WPA_FILE = Path("/run/kiosk-wifi/wpa.conf")
INTERFACES = Path("/sys/class/net")
LONGEST_S = 80.0
NMCLI_S = 30
ROUND_S = 0.2
COUNTRY = "VN"
"""Which channels may be used."""
_LARGEST_BYTES = 1024
_NAME = re.compile(r"[0-9a-f]{16}")
_HINT = say("show the station its code again")


def join(state_dir: Path, runtime_dir: Path, wifi: Wifi, alive: Callable[[], None] | None = None) -> None:
    """Ask for this network, and wait until the station is in it.

    Args:
        state_dir: The station's state.
        runtime_dir: Where root leaves its mark.
        wifi: Which network.
        alive: Called while it waits, for whoever watches this process.

    Raises:
        ProvisionError: NO_WIFI, or NOT_KEPT if the wish cannot be written.
    """
    folder = identity.folder_in(state_dir)
    name = secrets.token_hex(8)
    wish = json.dumps([name, wifi.name, wifi.password]).encode()
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        durable.replace(folder / WISH, wish, identity.PRIVATE)
    except OSError as error:
        raise ProvisionError(NOT_KEPT, f"{folder}: {error.strerror or error}") from error
    if os.geteuid() == 0 and shutil.which("nmcli"):
        apply(state_dir, runtime_dir)
    deadline_s = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline_s:
        state = _state_of(runtime_dir, name)
        if state == JOINED or (state == WRITTEN and _is_up()):
            return
        if state == FAILED:
            break
        if alive is not None:
            alive()
        time.sleep(ROUND_S)
    raise ProvisionError(
        NO_WIFI,
        say("the wireless network cannot be joined"),
        hint=say("check its name and password, or plug in a cable"),
    )


def apply(state_dir: Path, runtime_dir: Path) -> str:
    """Root's half: do what the uplink asks for, once for each wish and boot.

    Args:
        state_dir: The station's state.
        runtime_dir: Where the mark goes.

    Returns:
        "joined", "written" or "failed"; the first by NetworkManager, the second for wpa_supplicant.

    Raises:
        ProvisionError: There is no wish, or it is none.
    """
    name, wifi = _wish_in(identity.folder_in(state_dir) / WISH)
    known = _state_of(runtime_dir, name)
    if known not in {"", FAILED}:
        return known
    state = _by_network_manager(wifi) if shutil.which("nmcli") else _by_wpa_supplicant(wifi)
    durable.replace(runtime_dir / MARK, f"{name} {state}\n".encode(), identity.SHARED)
    return state


def forget(state_dir: Path) -> bool:
    """Have NetworkManager forget the network, and remove root's file; only root can.

    Args:
        state_dir: The station's state.

    Returns:
        Whether nothing of it is left there.
    """
    gone = True
    with suppress(ProvisionError):
        _, wifi = _wish_in(identity.folder_in(state_dir) / WISH)
        if shutil.which("nmcli"):
            gone = _ran(["nmcli", "connection", "delete", "id", wifi.name], NMCLI_S, JOINED) == JOINED
    try:
        WPA_FILE.unlink(missing_ok=True)
    except OSError:
        gone = False
    return gone


def wpa_settings(wifi: Wifi, country: str = COUNTRY) -> str:
    """A file for wpa_supplicant [2]: WPA2, and WPA3 where the access point speaks both; or an open network.

    Args:
        wifi: Which network.
        country: Two letters.
    """
    if wifi.password:
        key = hashlib.pbkdf2_hmac("sha1", wifi.password.encode(), wifi.name.encode(), 4096, 32).hex()  # [1]
        rest = f"\tkey_mgmt=WPA-PSK WPA-PSK-SHA256\n\tieee80211w=1\n\tpsk={key}\n"
    else:
        rest = "\tkey_mgmt=NONE\n"
    return f"country={country}\nnetwork={{\n\tssid={wifi.name.encode().hex()}\n\tscan_ssid=1\n{rest}}}\n"


def _by_network_manager(wifi: Wifi) -> str:
    """The second try is for a network that hides its name [3]. The password is in argv for as long; services see no other's."""
    state = FAILED
    for hidden in ([], ["hidden", "yes"]):
        argv = ["nmcli", "--wait", str(NMCLI_S), "device", "wifi", "connect", wifi.name]
        if wifi.password:
            argv += ["password", wifi.password]
        state = _ran([*argv, *hidden], NMCLI_S + 5, JOINED)
        if state == JOINED:
            break
    return state


def _by_wpa_supplicant(wifi: Wifi) -> str:
    WPA_FILE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.replace(WPA_FILE, wpa_settings(wifi).encode(), identity.PRIVATE)
    return _ran(["systemctl", "restart", WPA_UNIT], NMCLI_S, WRITTEN)


def _ran(argv: list[str], timeout_s: float, well: str) -> str:
    """`well` or FAILED. Nothing that a program says is shown: the password is among its words."""
    try:
        subprocess.run(argv, check=True, timeout=timeout_s, capture_output=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return FAILED
    return well


def _wish_in(path: Path) -> tuple[str, Wifi]:
    """The wish's own name and its network; root follows no link of the uplink's, and waits for no pipe."""
    try:
        content = shared.read(path, _LARGEST_BYTES)
    except OSError as error:
        raise ProvisionError(NO_WIFI, f"{path}: {error.strerror}", hint=_HINT) from error
    try:
        name, *network = json.loads(content)
        wifi = wifi_of(network)
    except (ValueError, TypeError, RecursionError, ProvisionError):
        wifi = None
    if wifi is None or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ProvisionError(NO_WIFI, f"{path} is no wish", hint=_HINT)
    return name, wifi


def _state_of(runtime_dir: Path, name: str) -> str:
    """What became of this wish since the boot; empty if nothing yet."""
    try:
        words = shared.read(runtime_dir / MARK).decode("ascii", "replace").split()
    except OSError:
        return ""
    return words[1] if len(words) == 2 and words[0] == name else ""


def _is_up() -> bool:
    """Whether a wireless interface has been let in: the kernel says "up" only after the handshake."""
    for interface in INTERFACES.glob("*/wireless"):
        try:
            if (interface.parent / "operstate").read_text("ascii").strip() == "up":
                return True
        except OSError:
            continue
    return False
