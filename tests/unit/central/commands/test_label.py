"""A label can be read by a telephone and by a person, and is no personal code."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest
import zxingcpp

from central.__main__ import main
from central.commands import label
from kiosk.credential import classify
from kiosk.errors import ConfigError
from kiosk.model import WrongCode


def test_label_is_read_and_recorded_by_nobody(tmp_path: Path) -> None:
    """One card: the station's name in words and in the code, which a station answers with "wrong code"."""
    out = tmp_path / "label.pdf"
    argv = ["label", "--kiosk", "phong-an-1", "--site", "phong-an", "--serial", "TS-0042", "--out", str(out)]
    argv += ["--office", "UBND phường Phong An"]
    assert main(argv) == 0
    opened = pypdfium2.PdfDocument(out.read_bytes())
    try:
        page = opened[0]
        picture = page.render(scale=300 / 72).to_numpy()
        words = page.get_textpage()
        text = words.get_text_bounded()
        words.close()
        page.close()
    finally:
        opened.close()
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.text == "KL1:phong-an-1;phong-an;TS-0042"
    assert "phong-an-1" in text
    assert "TS-0042" in text
    assert "UBND phường Phong An" in text
    assert isinstance(classify(code.text.encode(), ()), WrongCode)


@pytest.mark.parametrize(("kiosk", "serial"), [("Phòng An", ""), ("a;b", ""), ("a", "x;y"), ("a", "x" * 41)])
def test_label_of_no_station_is_refused(kiosk: str, serial: str) -> None:
    """What could be taken for another field is no name."""
    with pytest.raises(ConfigError):
        label.payload(kiosk, "office", serial)


def test_label_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, code 2."""
    assert main(["label", "--kiosk", "a", "--site", "b", "--out", str(tmp_path / "none" / "x.pdf")]) == 2
    assert "name another file" in capsys.readouterr().err
