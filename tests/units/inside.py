"""Runs as root inside the booted container: lets the services live, die and come back, and writes what it saw.

The first boot ends with the uplink asking for a restart of the board; the second one sees that all is at work again.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path("/results.json")
CONFIG = Path("/etc/kiosk/kiosk.yaml")
RUNTIME = Path("/run/kiosk")
UNITS = ("kiosk-scan.service", "kiosk-uplink.service")


def _systemctl(*words: str) -> str:
    argv = ["systemctl", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout.strip()


def _show(unit: str, name: str) -> str:
    return _systemctl("show", "-P", name, unit)


def _until(true: Callable[[], Any], limit_s: float) -> bool:
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if true():
            return True
        time.sleep(0.1)
    return False


def _marks(name: str) -> dict[str, Any]:
    try:
        return dict(json.loads((RUNTIME / f"{name}.json").read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _active() -> bool:
    return all(_show(unit, "ActiveState") == "active" for unit in UNITS)


def _exposure(unit: str) -> float:
    argv = ["systemd-analyze", "security", "--no-pager", "--threshold=100", unit]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    return float(found[1]) if found else 10.0


def _keeps_below(unit: str, tenths: int) -> bool:
    argv = ["systemd-analyze", "security", "--no-pager", f"--threshold={tenths}", unit]
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 0


def _probe(service: str) -> dict[str, str]:
    """The service's own unit with the probes instead of its program."""
    text = Path(f"/usr/lib/systemd/system/kiosk-{service}.service").read_text("utf-8")
    text = re.sub(r"(?m)^(?:ExecStart|ExecStopPost|Type|NotifyAccess|WatchdogSec|Restart\w*)=.*\n", "", text)
    out = Path(f"/run/probe-{service}.json")
    lines = f"Type=oneshot\nExecStart=/usr/bin/python3 -P /usr/lib/kiosk/probes.py {service}\nStandardOutput=truncate:{out}\n"
    unit = Path(f"/run/systemd/system/probe-{service}.service")
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(text.replace("[Service]\n", f"[Service]\n{lines}"))
    _systemctl("daemon-reload")
    _systemctl("start", unit.name)
    try:
        return dict(json.loads(out.read_text("utf-8")))
    except (OSError, ValueError):
        log = ["journalctl", "-u", unit.name, "--no-pager", "-n", "20"]
        return {"ran": subprocess.run(log, capture_output=True, text=True, timeout=60, check=False).stdout}


def _seconds_after_a_hang() -> float:
    """From the last sign of life before a hang to the first frame of the process that came after it."""
    restarts = int(_show(UNITS[0], "NRestarts"))
    alive_us = ready_us = 0
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        shown = dict(
            pair.split("=", 1)
            for pair in _systemctl(
                "show", "-p", "NRestarts,WatchdogTimestampMonotonic,ActiveEnterTimestampMonotonic,ActiveState", UNITS[0]
            ).splitlines()
        )
        if int(shown["NRestarts"]) == restarts:
            alive_us = int(shown["WatchdogTimestampMonotonic"]) or alive_us
        elif shown["ActiveState"] == "active":
            ready_us = int(shown["ActiveEnterTimestampMonotonic"])
            return (ready_us - alive_us) / 1e6
        time.sleep(0.1)
    return float("inf")


def _start_s() -> float:
    """How long the last start took on this machine, as busy as it is: from its beginning to the first frame."""
    names = "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"
    begun_us, ready_us = (int(_show(UNITS[0], name)) for name in names)
    return (ready_us - begun_us) / 1e6


def _survives(killed: str, other: str) -> dict[str, Any]:
    """Kill one process; the other must not notice, and the killed one must come back."""
    _until(_active, 30)
    other_pid, victim = _show(other, "MainPID"), int(_show(killed, "MainPID"))
    os.kill(victim, signal.SIGKILL)
    back = _until(lambda: _show(killed, "MainPID") not in {str(victim), "0"} and _active(), 30)
    return {"other_is_same": _show(other, "MainPID") == other_pid, "back": back}


def _listen() -> None:
    """Somebody who hears the entries, until the container ends: what nobody hears is not settled by the broker's word."""
    hears = (
        "from paho.mqtt import subscribe; subscribe.callback(lambda *_: None, 'kiosks/+/entries', hostname='127.0.0.1')"
    )
    environment = {**os.environ, "PYTHONPATH": "/usr/lib/kiosk/site"}
    subprocess.Popen(["/usr/bin/python3", "-P", "-c", hears], env=environment)


def first_boot() -> dict[str, Any]:
    """Everything that one boot can show."""
    _listen()
    seen: dict[str, Any] = {"started": _until(_active, 60)}
    key = Path("/var/lib/kiosk/identity/key.pem")
    key.touch(0o600)
    seen["delivered"] = _until(lambda: _settled() > 0, 30)
    seen["modes"] = {path.name: oct(path.stat().st_mode) for path in sorted(Path("/var/lib/kiosk").iterdir())}
    subprocess.run(["chown", "kiosk-uplink:kiosk", str(key)], check=True, timeout=10)
    seen["status"] = {unit: _show(unit, "StatusText") for unit in UNITS}
    seen["exposure"] = {unit: _exposure(unit) for unit in (*UNITS, "kiosk-fetch.service", "kiosk-update.service")}
    seen["within_threshold"] = {unit: _keeps_below(unit, tenths) for unit, tenths in zip(UNITS, (4, 10), strict=True)}
    seen["start_s"] = _start_s()
    seen["hang_s"] = _seconds_after_a_hang()
    seen["left_after_hang"] = _marks("panel-main").get("left")
    seen["probes"] = {service: _probe(service) for service in ("scan", "uplink")}
    _calm_camera()
    seen["uplink_killed"] = _survives(UNITS[1], UNITS[0])
    seen["scan_killed"] = _survives(UNITS[0], UNITS[1])
    seen["left_after_kill"] = _marks("panel-main").get("left")
    seen["restarts_counted"] = int(_show(UNITS[0], "NRestarts"))
    environment = {**os.environ, "KIOSK_HEALTHY_S": "0"}
    subprocess.run(["/usr/lib/kiosk/bin/calm", *UNITS], env=environment, check=True, timeout=60)
    seen["restarts_forgotten"] = int(_show(UNITS[0], "NRestarts"))
    _systemctl("stop", UNITS[0])
    seen["left_after_stop"] = _marks("panel-main").get("left")
    _systemctl("start", UNITS[0])
    seen["wrong_config"] = _wrong_config()
    argv = ["/usr/bin/python3", "/usr/lib/kiosk/updating.py"]
    seen["update"] = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=300).stdout)
    seen["wifi"] = _wifi()
    seen["link"] = {user: _ask_for_link(user) for user in ("kiosk-scan", "kiosk-uplink")}
    seen["asked_by_scan"] = _ask_for_restart("kiosk-scan")
    return seen


def _settled() -> int:
    argv = ["kiosk", "status", "--json"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    outbox = json.loads(said)["outbox"] if said.startswith("{") else {"last_seq": 0, "waiting": 0}
    return int(outbox["last_seq"]) - int(outbox["waiting"])


def _calm_camera() -> None:
    """From here on the camera does not hang; the path unit brings the new configuration to work."""
    CONFIG.write_text(CONFIG.read_text("utf-8").replace(",hang=120", ""), "utf-8")
    time.sleep(3)
    _until(_active, 30)


def _wrong_config() -> dict[str, Any]:
    good = CONFIG.read_text("utf-8")
    CONFIG.write_text(good + "\nnonsense: 1\n", "utf-8")
    gave_up = _until(lambda: all(_show(unit, "ActiveState") == "failed" for unit in UNITS), 30)
    codes = [_show(unit, "ExecMainStatus") for unit in UNITS]
    time.sleep(4)
    quiet = all(_show(unit, "ActiveState") == "failed" for unit in UNITS)
    CONFIG.write_text(good, "utf-8")
    return {"gave_up": gave_up, "codes": codes, "stays_quiet": quiet, "back": _until(_active, 30)}


def _wifi() -> dict[str, Any]:
    """The uplink's user asks for a network; root's unit writes the file and starts wpa_supplicant."""
    asks = (
        "from pathlib import Path; from kiosk.commissioning import wifi; from kiosk.envelopes.provisioning_code import Wifi; wifi.LONGEST_S = 15;"
        "wifi.join(Path('/var/lib/kiosk'), Path('/run/kiosk'), Wifi('office', 'a password'))"
    )
    user = ["setpriv", "--reuid=kiosk-uplink", "--regid=kiosk", "--clear-groups"]
    environment = {**os.environ, "PYTHONPATH": "/usr/lib/kiosk/site"}
    file, mark = Path("/run/kiosk-wifi/wpa.conf"), RUNTIME / "wifi-applied"
    subprocess.run([*user, "python3", "-P", "-c", asks], env=environment, check=False, timeout=60, capture_output=True)
    found = _until(lambda: mark.exists() and file.exists(), 10)
    reads = subprocess.run([*user, "cat", str(file)], capture_output=True, timeout=10, check=False).returncode == 0
    log = ["journalctl", "-u", "kiosk-wifi.service", "--no-pager", "-n", "20", "-o", "cat"]
    return {
        "found": found,
        "state": mark.read_text("utf-8").split()[1] if found else "",
        "mode": oct(file.stat().st_mode) if found else "",
        "network": "\tssid=6f6666696365\n" in file.read_text("utf-8") if found else False,
        "unit": _show("kiosk-wpa.service", "ActiveState"),
        "uplink_reads": reads,
        "log": subprocess.run(log, capture_output=True, text=True, timeout=60, check=False).stdout,
        "exposure": _exposure("kiosk-wifi.service"),
    }


def _ask_for_link(user: str) -> dict[str, bool]:
    """What became of a wish of this user's that the wireless link begin anew."""
    request, wpa = RUNTIME / "link-requested", "kiosk-wpa.service"
    before = _show(wpa, "MainPID")
    argv = ["setpriv", f"--reuid={user}", "--regid=kiosk", "--clear-groups", "touch", str(request)]
    subprocess.run(argv, check=True, timeout=10)
    removed = _until(lambda: not request.exists(), 20)
    _until(lambda: _show("kiosk-link.service", "ActiveState") == "inactive", 20)
    begun = _until(lambda: _show(wpa, "MainPID") not in {before, "0"}, 10 if user == "kiosk-uplink" else 3)
    return {"removed": removed, "begun_anew": begun, "active": _show(wpa, "ActiveState") == "active"}


def _ask_for_restart(user: str) -> str:
    """What became of a request that this user wrote."""
    request = RUNTIME / "reboot-requested"
    argv = ["setpriv", f"--reuid={user}", "--regid=kiosk", "--clear-groups", "touch", str(request)]
    subprocess.run(argv, check=True, timeout=10)
    _until(lambda: not request.exists(), 10)
    return "kept" if request.exists() else "refused and removed"


def main() -> None:
    """Write the results; ask for the second boot, or end."""
    if RESULTS.exists():
        seen = json.loads(RESULTS.read_text("utf-8"))
        seen["second_boot"] = _until(_active, 60)
        RESULTS.write_text(json.dumps(seen, indent=1), "utf-8")
        return
    RESULTS.write_text(json.dumps(first_boot(), indent=1), "utf-8")
    if _ask_for_restart("kiosk-uplink") != "kept":
        time.sleep(60)  # the board goes down meanwhile


if __name__ == "__main__":
    main()
