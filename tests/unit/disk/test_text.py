"""Small files are read as whatever editor has left them; what cannot be read is said with the remedy."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest

from central.intake.collector import Broker, password_of
from kiosk.config import Config
from kiosk.delivery.mqtt import open_link
from kiosk.delivery.routes import Route
from kiosk.disk import text
from kiosk.errors import ConfigError

SAVED = {
    "lf": b"secret9\n",
    "no end": b"secret9",
    "crlf": b"secret9\r\n",
    "cr": b"secret9\r",
    "mark": codecs.BOM_UTF8 + b"secret9\r\n",
    "utf-16": "secret9\r\n".encode("utf-16"),
    "utf-16-be": codecs.BOM_UTF16_BE + "secret9\r\n".encode("utf-16-be"),
    "utf-16 without a mark": "secret9\n".encode("utf-16-le"),
    "remarks": b"# of the broker\n\n  secret9  \n",
}


@pytest.mark.parametrize("content", SAVED.values(), ids=SAVED)
def test_password_is_read_however_it_was_saved(tmp_path: Path, content: bytes) -> None:
    """Marks, encodings, line ends, blanks and remarks are no part of a password."""
    path = tmp_path / "password"
    path.write_bytes(content)
    assert text.secret_in(path) == "secret9"
    assert password_of(Broker("mqtt://127.0.0.1:1883", password_file=path)) == "secret9"


def test_password_may_begin_like_a_remark(tmp_path: Path) -> None:
    """Where it is the only line, it is the password."""
    (tmp_path / "password").write_text("#1 Mật khẩu\n", "utf-8")
    assert text.secret_in(tmp_path / "password") == "#1 Mật khẩu"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"B\xb5m", "it is not UTF-8; save it as UTF-8 in your editor"),
        (b"", "there is no password in it; write it on a line of its own"),
        (b" \r\n", "there is no password in it; write it on a line of its own"),
        (b"# one\n# two\n", "there is no password in it; write it on a line of its own"),
    ],
)
def test_password_that_cannot_be_read_is_said(
    tmp_path: Path, make_config: Callable[..., Config], content: bytes, said: str
) -> None:
    """By the station and by the centre alike: the file, what is wrong with it, and what to do."""
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"--password-file: {path}: {said}"):
        password_of(Broker("mqtt://127.0.0.1:1883", password_file=path))
    config = make_config(uplink={"brokers": ["mqtt://127.0.0.1:1"], "username": "a", "password_file": str(path)})
    with pytest.raises(ConfigError, match=f"uplink.password_file: {path}: {said}"):
        open_link(config, Route("mqtt://127.0.0.1:1", "5"), b"")


@pytest.mark.parametrize("option", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (codecs.BOM_UTF8 + b"-----BEGIN CERTIFICATE-----\n", "was saved by a text editor; copy the original file"),
        ("-----BEGIN CERTIFICATE-----\n".encode("utf-16"), "was saved by a text editor; copy the original file"),
        (b"\x30\x82\x01", "is not PEM; it should begin with -----BEGIN"),
        (None, "No such file or directory; see that it exists"),
    ],
)
def test_certificate_that_is_none_is_named(
    tmp_path: Path, make_config: Callable[..., Config], option: str, content: bytes | None, said: str
) -> None:
    """The file and its key in the configuration, not what OpenSSL calls it."""
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    tls = {option: str(path)} if option != "key_file" else {"key_file": str(path), "cert_file": None}
    config = make_config(uplink={"brokers": ["mqtts://127.0.0.1:1"]})
    config = config.model_copy(
        update={
            "uplink": config.uplink.model_copy(
                update={
                    "tls": config.uplink.tls.model_copy(
                        update={name: None if value is None else Path(value) for name, value in tls.items()}
                    )
                }
            )
        }
    )
    with pytest.raises(ConfigError) as caught:
        open_link(config, Route("mqtts://127.0.0.1:1", "5"), b"")
    assert f"uplink.tls.{option}: {path}" in str(caught.value)
    assert said in str(caught.value)
