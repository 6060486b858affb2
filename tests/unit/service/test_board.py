"""What the doctor says of the board, by what each model's /sys and /proc look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kiosk.config import Config
from kiosk.service import board, checkup

PI4, PI5, ZERO = (f"Raspberry Pi {name}" for name in ("4 Model B Rev 1.5", "5 Model B Rev 1.0", "Zero 2 W Rev 1.0"))
OLD_FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
NEW_FIRMWARE = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
HWMON = "sys/class/hwmon/hwmon"
SEEN_2021, SEEN_2025 = (b"\x60\x00\x00\x00", b"\x67\xac\xdf\x40")


def machine(root: Path, model: str, files: dict[str, str | bytes]) -> Path:
    """A root with these files, and the board's model as the firmware writes it."""
    for name, content in {"proc/device-tree/model": f"{model}\0", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.mark.parametrize(
    ("model", "files", "well", "says"),
    [
        (PI4, {OLD_FIRMWARE: "0"}, True, "temperature unknown"),
        (PI4, {OLD_FIRMWARE: "50000"}, False, "was-under-voltage, was-throttled; use the maker's power supply"),
        (ZERO, {OLD_FIRMWARE: "8"}, False, "temperature-limit; give it air or shade"),
        (PI5, {NEW_FIRMWARE: "0"}, True, "temperature unknown"),
        (PI5, {NEW_FIRMWARE: "50005"}, False, "under-voltage, throttled"),
        (PI5, {f"{HWMON}0/name": "cpu_thermal\n", f"{HWMON}2/name": "rpi_volt\n", f"{HWMON}2/in0_lcrit_alarm": "0\n"}, True, ""),
        (PI5, {f"{HWMON}2/name": "rpi_volt\n", f"{HWMON}2/in0_lcrit_alarm": "1\n"}, False, "under-voltage; use the maker's"),
        (PI5, {f"{HWMON}2/name": "pwmfan\n", f"{HWMON}2/in0_lcrit_alarm": "1\n"}, False, "too weak is unknown"),
        (PI5, {NEW_FIRMWARE: "", f"{HWMON}2/name": "rpi_volt\n"}, False, "too weak is unknown"),
        (PI5, {}, False, "too weak is unknown"),
        ("ThinkPad", {}, True, "temperature unknown"),
    ],
)  # fmt: skip
def test_weak_supply_is_told(tmp_path: Path, model: str, files: dict[str, str | bytes], well: bool, says: str) -> None:  # noqa: FBT001
    """Wherever the model has it; a Pi that does not tell is not taken for well; under-voltage has another remedy than heat."""
    found = board.strain(machine(tmp_path, model, files))
    assert found[0] is well
    assert says in found[1]


@pytest.mark.parametrize(
    ("controllers", "well", "says"),
    [
        ("cpuset cpu io memory pids\n", True, "bounded"),
        ("cpuset cpu io pids\n", False, "add `cgroup_enable=memory` to cmdline.txt"),
        (None, False, "unknown"),
    ],
)
def test_limits_that_do_not_hold_are_told(tmp_path: Path, controllers: str | None, well: bool, says: str) -> None:  # noqa: FBT001
    """A Pi's device tree switches them off unless the kernel is told otherwise, and no service notices."""
    files: dict[str, str | bytes] = {} if controllers is None else {"sys/fs/cgroup/cgroup.controllers": controllers}
    found = board.limits(machine(tmp_path, PI4, files))
    assert found[0] is well
    assert says in found[1]


@pytest.mark.parametrize(
    ("image", "made", "well", "says"),
    [
        ("pi4", SEEN_2025, True, "can be taken, by a bootloader of 2025-02-12"),
        ("pi4", SEEN_2021, False, "of 2021-01-14 and knows no trial; write it anew"),
        ("pi4", None, True, "that does not tell its day"),
        ("zero2w", None, True, "takes no updates"),
        ("", SEEN_2025, True, "no card image"),
    ],
)
def test_board_that_boots_no_trial_is_told(
    make_config: Callable[..., Config], tmp_path: Path, image: str, made: bytes | None, well: bool, says: str  # noqa: FBT001
) -> None:  # fmt: skip
    """Before an update is ordered, with the bootloader's day and the remedy."""
    files: dict[str, str | bytes] = {} if made is None else {"proc/device-tree/chosen/bootloader/build-timestamp": made}
    if image:
        files |= {"image/version": "0.1.0+20261124213755\n", "image/board": f"{image}\n"}
    config = make_config(update={"version_file": str(tmp_path / "image/version")})
    found = board.updates(config, machine(tmp_path, PI4, files))
    assert found[0] is well
    assert says in found[1]


@pytest.mark.parametrize(("model", "parts"), [(PI4, {"board", "limits", "updates"}), ("ThinkPad", {"board"})])
def test_doctor_asks_a_pi_what_only_a_pi_has(
    make_config: Callable[..., Config], tmp_path: Path, model: str, parts: set[str]
) -> None:
    """A laptop is not told that its limits are its own business."""
    root = machine(tmp_path / "root", model, {})
    asked = {part for part, _ in checkup._checks(make_config(), root)}
    assert asked & {"board", "limits", "updates"} == parts
