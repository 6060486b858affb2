"""Ids and addresses: one answer for configuration, codes and centre."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.commands.options import host_port
from central.intake.amqp_collector import _checked
from central.intake.collector import check_url
from central.passes.phone_page import checked_url
from kiosk import forms
from kiosk.envelopes.offer import Offer, is_offer
from kiosk.errors import ConfigError, LinkError

BAD_PLACES = {
    "h:99999": "'99999' is no port; give one from 1 to 65535",
    "h:65536": "'65536' is no port; give one from 1 to 65535",
    "h:0": "'0' is no port; give one from 1 to 65535",
    "h:": "'' is no port; give one from 1 to 65535",
    "h:-1": "'-1' is no port; give one from 1 to 65535",
    "h:08883": "'08883' is no port; give one from 1 to 65535",
    "h:mqtt": "'mqtt' is no port; give one from 1 to 65535",
    "h:٣": "'٣' is no port; give one from 1 to 65535",
    ":8883": "has no host; name the machine, as in broker.example",
    "": "has no host; name the machine, as in broker.example",
    "u:p@h:8883": "has a name or a password in it; remove everything up to the @",
    "h:8883/x": "has '/x' after host and port; remove it",
    "h:8883?x": "has '?x' after host and port; remove it",
    "h :8883": "has a space in it; remove it",
    "h:8883\n": "has a space in it; remove it",
    "fd00::5:8883": "'fd00::5:8883' is no host; an IPv6 address goes in brackets, as in [fd00::5]:8883",
    "[fd00::5:8883": "'[fd00::5:8883' is no address of a machine; write its name, 192.0.2.5 or [fd00::5]",
    "[fd00::5]8883": "'[fd00::5]8883' is no address of a machine; write its name, 192.0.2.5 or [fd00::5]",
    "[fe80::1%eth0]:8883": "'[fe80::1%eth0]' is no address of a machine; write its name, 192.0.2.5 or [fd00::5]",
    "10.0.0.256:8883": "'10.0.0.256' is no address of a machine; write its name, 192.0.2.5 or [fd00::5]",
    "a..b:8883": "'a..b' is no name of a machine; use letters, digits, hyphens and dots only",
    "máy-chủ:8883": "'máy-chủ' is no name of a machine; use letters, digits, hyphens and dots only",
    f"{'a' * 64}:1": f"'{'a' * 64}' is no name of a machine; use letters, digits, hyphens and dots only",
}
GOOD_PLACES = ["h:1", "broker.example:8883", "192.0.2.5:65535", "[fd00::5]:8883", "BROKER_1.local:1883", "h.:1"]


def _said(fault: forms.Fault | None) -> str:
    return "" if fault is None else "; ".join(fault)


@pytest.mark.parametrize(("place", "said"), BAD_PLACES.items())
def test_address_that_leads_nowhere_is_refused_everywhere(place: str, said: str) -> None:
    """host:port, mqtt, https and amqp: the station's configuration, an offered update and the centre's options judge alike."""
    assert _said(forms.fault_of_address(place)) == said
    assert _said(forms.fault_of_broker(f"mqtts://{place}")).partition("'")[0] == said.partition("'")[0]
    assert forms.fault_of_https(f"https://{place}/x") is not None or "/x" in place or "?x" in place
    with pytest.raises(ArgumentTypeError):
        host_port(place)
    with pytest.raises(LinkError):
        check_url(f"mqtt://{place}")
    if not {"@", "/", "?"} & set(place):  # a node's address has a user and a virtual host, a page has a path
        with pytest.raises(LinkError):
            _checked(f"amqp://{place}")
        with pytest.raises(ConfigError):
            checked_url(f"https://{place}/p/".replace("\n", " "))
        assert not is_offer(Offer("0.1.0+20261124213755", f"https://{place}/b.raucb", bytes(32), 1))


@pytest.mark.parametrize("place", GOOD_PLACES)
def test_address_that_leads_somewhere_is_taken_everywhere(place: str) -> None:
    """Names, IPv4, IPv6 in brackets; with the smallest port and the largest."""
    assert forms.fault_of_address(place) is None
    assert forms.fault_of_broker(f"mqtts://{place}") is None
    assert host_port(place) == place
    assert check_url(f"mqtt://{place}") == f"mqtt://{place}"
    assert _checked(f"amqp://guest:secret@{place}/%2f")
    assert checked_url(f"https://{place}/p/")
    assert is_offer(Offer("0.1.0+20261124213755", f"https://{place}/b.raucb", bytes(32), 1))


def test_port_is_needed_only_where_nothing_stands_for_it() -> None:
    """mqtt and https have ports of their own; host:port has none."""
    assert _said(forms.fault_of_address("h")) == "has no port; end it with one, as in h:8883"
    assert (
        _said(forms.fault_of_address("mqtt://h:1"))
        == "'mqtt://h:1' is not host:port; leave out what stands before the host"
    )
    assert forms.fault_of_broker("mqtt://[::1]") is None
    assert forms.fault_of_https("https://h/x?y#z") is None
    for address in ("h:1", "http://h:1", "mqtt:/h", "", "MQTT://h"):
        assert "begins with neither" in _said(forms.fault_of_broker(address))
        assert "does not begin with https://" in _said(forms.fault_of_https(address))


@given(st.text(max_size=20), st.sampled_from(["{}", "mqtts://{}", "https://{}", "{}@h:1", "http://n:{}@h"]))
def test_password_in_an_address_is_never_told(secret: str, form: str) -> None:
    """Whatever stands before an @ goes into no message."""
    text = form.format(f"geheim{secret}")
    for fault_of in (forms.fault_of_address, forms.fault_of_broker, forms.fault_of_https):
        fault = fault_of(text)
        assert fault is None or "@" not in text or "geheim" not in _said(fault)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Phòng An", "'Phòng An' is not written with only a-z, 0-9 and hyphens, as in phong-an; write phong-an"),
        ("ĐỐNG ĐA 3", "'ĐỐNG ĐA 3' is not written with only a-z, 0-9 and hyphens, as in phong-an; write dong-da-3"),
        ("a_b", "'a_b' is not written with only a-z, 0-9 and hyphens, as in phong-an; write a-b"),
        ("***", "'***' is not written with only a-z, 0-9 and hyphens, as in phong-an; give it a name"),
        ("-a-", "'-a-' begins or ends with a hyphen; write a"),
        ("a" * 65, f"has 65 signs, more than 64; write {'a' * 64}"),
        ("", "is empty; write it with only a-z, 0-9 and hyphens, as in phong-an"),
    ],
)
def test_id_out_of_form_is_told_with_one_that_fits(text: str, said: str) -> None:
    """The suggestion is made from what was written."""
    assert _said(forms.fault_of_id(text)) == said


@given(st.text(max_size=100))
def test_what_is_suggested_is_an_id(text: str) -> None:
    """Or nothing is; and an id is its own suggestion."""
    near = forms.near_id(text)
    assert near == "" or forms.is_id(near)
    assert not forms.is_id(text) or near == text or "--" in text
    assert (forms.fault_of_id(text) is None) == forms.is_id(text)


@pytest.mark.parametrize("text", ["7:00", "24:00", "12:60", "", "12:00:00", " 12:00", "１２:00"])
def test_time_of_day_out_of_form_is_told(text: str) -> None:
    """Two digits, a colon, two digits."""
    assert _said(forms.fault_of_time(text)) == f"""{text!r} is no time of day; write "HH:MM" from "00:00" to "23:59\""""
    assert forms.fault_of_time("23:59") is None
