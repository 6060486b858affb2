"""The entry with which Raspberry Pi Imager offers a card image, and what is stricter about it than its schema.

Imager shows the entry, downloads the packed image, checks `image_download_sha256`, unpacks, and checks what it has
written against `extract_sha256`. A wrong number is found out at the technician's desk, so it is found out here.

Sources:
    [1] github.com/raspberrypi/rpi-imager, doc/json-schema: names and types of the fields.
    [2] there, src/wizard/DeviceSelectionStep.qml: of a list that names no device nobody gets beyond Imager's first page.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jsonschema

from imaging.host import sha256_of

SCHEMA = Path(__file__).resolve().parents[1] / "os_list.schema.json"
DEVICES = {
    "pi4": ("Raspberry Pi 4", "pi4-64bit"),
    "pi5": ("Raspberry Pi 5", "pi5-64bit"),
    "zero2w": ("Raspberry Pi Zero 2 W", "pi3-64bit"),
}
"""Imager's devices and tags; a Zero 2 W counts as a Pi 3."""
ICON = "kiosk.png"


def entry(image: Path, packed: Path, board: str, version: str, url: str) -> dict[str, Any]:
    """The document with one entry for this image.

    Args:
        image: The raw image.
        packed: The same, packed.
        board: Its board.
        version: Of the project.
        url: Folder from which it will be downloaded, with its `/`.
    """
    built = datetime.fromtimestamp(image.stat().st_mtime, UTC).date()
    one: dict[str, Any] = {
        "name": f"Kiosk {version} ({board})",
        "description": "Door station that reads personal QR codes; set up by files on its first partition",
        "icon": f"{url}{ICON}",
        "url": f"{url}{packed.name}",
        "extract_size": image.stat().st_size,
        "extract_sha256": sha256_of(image),
        "image_download_size": packed.stat().st_size,
        "image_download_sha256": sha256_of(packed),
        "release_date": built.isoformat(),
        "init_format": "none",
    }
    if board not in DEVICES:
        return {"os_list": [one]}
    name, tag = DEVICES[board]
    one["devices"] = [tag]
    device = {"name": name, "description": f"stations of {board}", "tags": [tag], "matching_type": "exclusive"}
    return {"imager": {"devices": [device]}, "os_list": [one]}


def draw_icon(folder: Path) -> None:
    """The picture beside the entry: a corner of a code and a green light, 160 x 160 px."""
    import cv2  # noqa: PLC0415  nothing else of a manifest needs them
    import numpy as np  # noqa: PLC0415

    picture = np.full((160, 160, 3), 255, np.uint8)
    for margin_px, grey in ((12, 40), (32, 255), (50, 40)):
        picture[margin_px : 160 - margin_px, margin_px : 160 - margin_px] = grey
    cv2.circle(picture, (122, 122), 36, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, (122, 122), 28, (80, 175, 45), cv2.FILLED, cv2.LINE_AA)
    cv2.imwrite(str(folder / ICON), picture)


def problems_of(document: object, packed: Path | None, today: date) -> list[str]:
    """What is wrong with a manifest; nothing if Imager will flash what we have built.

    Args:
        document: As it is in JSON.
        packed: The packed image, to be compared with it; None to judge the document alone.
        today: The date.
    """
    schema = json.loads(SCHEMA.read_text("utf-8"))
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(document), key=str)
    found = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
    if found or not isinstance(document, dict):
        return found
    devices = document.get("imager", {}).get("devices", [])
    for one in document["os_list"]:
        found += _contradictions(one, today)
        if "devices" in one and not any(set(device["tags"]) & set(one["devices"]) for device in devices):
            found.append("no device of `imager` has a tag of `devices`: Imager would offer nothing")
        if packed is not None:
            found += _differences(one, packed)
    return found


def _contradictions(one: dict[str, Any], today: date) -> list[str]:
    """What in one entry cannot be, although each field has its form."""
    found = []
    try:
        released = date.fromisoformat(one["release_date"])
    except ValueError:
        found.append(f"release_date {one['release_date']!r} is no date")
    else:
        if not date(2026, 1, 1) <= released <= today:
            found.append(f"release_date {released} lies in the future, or before there was a kiosk")
    if one["extract_size"] % 512:
        found.append("extract_size is no whole number of sectors")
    if one["image_download_size"] >= one["extract_size"]:
        found.append("image_download_size is not smaller than extract_size")
    if one["extract_sha256"] == one["image_download_sha256"]:
        found.append("both hashes are the same: one is of the wrong file")
    if not re.search(r"\.img\.(zst|xz)$", one["url"]):
        found.append("url does not end in .img.zst or .img.xz")
    return found


def _differences(one: dict[str, Any], packed: Path) -> list[str]:
    """Where the entry and the file differ; the file is unpacked for it."""
    found = []
    if not one["url"].endswith(f"/{packed.name}"):
        found.append(f"url is not of {packed.name}")
    if one["image_download_size"] != packed.stat().st_size:
        found.append("image_download_size is not the file's")
    if one["image_download_sha256"] != sha256_of(packed):
        found.append("image_download_sha256 is not the file's")
    total, size = hashlib.sha256(), 0
    with subprocess.Popen(["zstd", "-dcq", str(packed)], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None  # noqa: S101  asked for above
        while chunk := unpacking.stdout.read(1 << 20):
            total.update(chunk)
            size += len(chunk)
    if unpacking.returncode != 0:
        found.append("the file cannot be unpacked")
    if one["extract_size"] != size:
        found.append(f"extract_size is not {size}, the unpacked file's")
    if one["extract_sha256"] != total.hexdigest():
        found.append("extract_sha256 is not the unpacked file's")
    return found
