"""Forms of what people write into a configuration and codes carry: ids, and addresses with their ports.

One answer for both, and for the centre, which writes what a station reads: None if the form is right, else what is wrong with it
and what to do.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
import zoneinfo
from pathlib import Path
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from kiosk.language.message import Message, say

LONGEST_ID = 64
DEFAULT_ZONE = "Asia/Ho_Chi_Minh"
RUNTIME_DIR = Path("/run/kiosk")
"""Where `state.runtime_dir` is at a door."""
LARGEST_PORT = 65_535
LONGEST_HOST = 253
_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_PORT = re.compile(r"[1-9][0-9]{0,4}")

PersonPart = Literal["number", "qid", "name", "birth_year", "birth_date", "sex", "phone", "insurance"]
PERSON_PARTS: tuple[PersonPart, ...] = get_args(PersonPart)
"""What an entry may tell of a person, and nothing else: whatever a station says, it names no other column of a list."""
LONGEST_PART = 400
Fault = tuple[Message, Message]
"""What is wrong, what to do."""


def is_id(text: str) -> bool:
    """Whether it is a name of a station, an office or a door: lower-case letters, digits and inner hyphens, 1 to 64."""
    return _ID.fullmatch(text) is not None


def fault_of_id(text: str) -> Fault | None:
    """What keeps a text from being an id."""
    if is_id(text):
        return None
    near = near_id(text)
    remedy = say("write {near}", near=near) if near else say("give it a name")
    if len(text) > LONGEST_ID:
        return say("has {length} signs, more than {most}", length=len(text), most=LONGEST_ID), remedy
    if not text:
        return say("is empty"), say("write it with only a-z, 0-9 and hyphens, as in phong-an")
    if re.fullmatch(r"[a-z0-9-]+", text):
        return say("{given!r} begins or ends with a hyphen", given=text), remedy
    return say("{given!r} is not written with only a-z, 0-9 and hyphens, as in phong-an", given=text), remedy


def near_id(text: str) -> str:
    """The id that looks most like a text: `Phòng An` → `phong-an`; empty if nothing of it can stand in one."""
    plain = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    letters = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:LONGEST_ID].strip("-")


def fault_of_time(text: str) -> Fault | None:
    """What keeps a text from being a time of day."""
    if _TIME.fullmatch(text):
        return None
    return say("{given!r} is no time of day", given=text), say('write "HH:MM" from "00:00" to "23:59"')


def fault_of_zone(text: str) -> Fault | None:
    """What keeps a text from being a time zone."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown, an absolute path, a folder
        near = difflib.get_close_matches(text, zoneinfo.available_timezones(), 1)
        return say("{given!r} is no time zone", given=text), say(
            "write one like {near}", near=(near or [DEFAULT_ZONE])[0]
        )
    return None


def fault_of_address(text: str) -> Fault | None:
    """What keeps a text from being host:port."""
    if "@" not in text and "://" in text:
        return say("{given!r} is not host:port", given=text), say("leave out what stands before the host")
    return fault_of_place(text, needs_port=True)


def fault_of_broker(text: str) -> Fault | None:
    """What keeps a text from being mqtt://host or mqtts://host, with :port or without."""
    scheme, mark, rest = text.partition("://")
    if "@" not in text and (not mark or scheme not in {"mqtt", "mqtts"}):
        what = say("{given!r} begins with neither mqtt:// nor mqtts://", given=text)
        return what, say("write mqtt://host:1883 or mqtts://host:8883")
    return fault_of_place(text if "@" in text else rest, needs_port=False)


def fault_of_https(text: str) -> Fault | None:
    """What keeps a text from being https://host, with :port or without, and whatever path."""
    scheme, mark, rest = text.partition("://")
    if "@" not in text and (not mark or scheme != "https"):
        return say("{given!r} does not begin with https://", given=text), say("begin it with https://")
    return fault_of_place(text if "@" in text else re.split(r"[/?#]", rest, maxsplit=1)[0], needs_port=False)


def fault_of_place(rest: str, *, needs_port: bool) -> Fault | None:
    """What keeps a text from being host:port.

    Args:
        rest: The text, without a scheme.
        needs_port: Whether a host alone is too little.
    """
    if "@" in rest:  # never told as it is: a password may stand there
        return say("has a name or a password in it"), say("remove everything up to the @")
    if re.search(r"\s", rest):
        return say("has a space in it"), say("remove it")
    if found := re.search(r"[/?#]", rest):
        return say("has {sign} after host and port", sign=repr(rest[found.start() :])), say("remove it")
    if not rest.startswith("[") and rest.count(":") > 1:
        return say("{given!r} is no host", given=rest), say("an IPv6 address goes in brackets, as in [fd00::5]:8883")
    host, port = _split(rest)
    if fault := _fault_of_host(host):
        return fault
    if port is None:
        return (say("has no port"), say("end it with one, as in {host}:8883", host=host)) if needs_port else None
    if not _PORT.fullmatch(port) or int(port) > LARGEST_PORT:
        return say("{port!r} is no port", port=port), say("give one from 1 to {most}", most=LARGEST_PORT)
    return None


def _split(rest: str) -> tuple[str, str | None]:
    """Host and port; None where there is none."""
    end = rest.find("]") + 1 if rest.startswith("[") else rest.find(":")
    if end < 0:
        return rest, None
    host, after = rest[:end], rest[end:]
    if not after:
        return host, None
    return (host, after[1:]) if after.startswith(":") else (rest, None)


def _fault_of_host(host: str) -> Fault | None:
    if not host:
        return say("has no host"), say("name the machine, as in broker.example")
    try:
        if host.startswith("["):
            if not host.endswith("]") or "%" in host:  # a zone is of one machine alone
                raise ValueError(host)
            ipaddress.IPv6Address(host[1:-1])
            return None
        last = host.rpartition(".")[2]
        if last.isdigit() and last.isascii():
            ipaddress.IPv4Address(host)
            return None
    except ValueError:
        return say("{given!r} is no address of a machine", given=host), say("write its name, 192.0.2.5 or [fd00::5]")
    if len(host) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split(".")):
        return say("{given!r} is no name of a machine", given=host), say("use letters, digits, hyphens and dots only")
    return None
