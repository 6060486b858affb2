"""The moving pass in a real browser: made, shown, photographed, read by the station's decoder and judged. `make test-page`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cbor2
import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from central.__main__ import main
from kiosk.credential import classify
from kiosk.decoder import read_picture
from kiosk.envelopes import base45
from kiosk.model import Credential, Result, Unproven, UnprovenReason
from kiosk.trust import issuers

# Selenium's own, in the driver for WebKit.
pytestmark = pytest.mark.filterwarnings("ignore:setting remote_server_addr:DeprecationWarning")
NAME = "Nguyễn Thị Ữ"
LONGEST_S = 20.0


class Phone:
    """One browser with a memory of its own: a phone's, or with a size in pixels a computer's, whose scroll bars take room."""

    def __init__(self, folder: Path, size_px: tuple[int, int] | None = None) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "no-first-run"):
            options.add_argument(f"--{word}")
        options.add_argument(f"--user-data-dir={folder}")
        if size_px is None:
            metrics = {"width": 393, "height": 851, "pixelRatio": 2}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        else:
            options.add_experimental_option("excludeSwitches", ["hide-scrollbars"])
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        if size_px is not None:
            self.resize(*size_px)
        self.driver.set_page_load_timeout(LONGEST_S)
        self.driver.set_script_timeout(LONGEST_S)

    def close(self) -> None:
        """Switch it off."""
        self.driver.quit()

    def resize(self, width_px: int, height_px: int) -> None:
        """Give the window's inside this size."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, url: str) -> None:
        """Open a page."""
        self.driver.get(url)

    def ask(self, script: str) -> Any:
        """What an expression, or a promise, of the page gives; an error as its name."""
        text = f"const done = arguments[0]; (async () => {script})().then(done, (error) => done(error.name))"
        return self.driver.execute_async_script(text)

    def until(self, true: Callable[[], Any]) -> Any:
        """Wait until this is something."""
        deadline_s = time.monotonic() + LONGEST_S
        while not (found := true()):
            assert time.monotonic() < deadline_s, self.driver.find_element("tag name", "body").text
            time.sleep(0.1)
        return found

    def shows(self, section: str) -> bool:
        """Whether it is this part of the page that is seen."""
        return bool(self.ask(f"!document.getElementById('{section}').hidden"))

    def photographed(self) -> bytes:
        """What a camera in front of the screen reads; empty if nothing."""
        picture = cv2.imdecode(np.frombuffer(self.driver.get_screenshot_as_png(), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        readings = read_picture(np.asarray(picture, np.uint8))
        return readings[0].payload if len(readings) == 1 else b""

    def number(self) -> str:
        """The phone's number, as its code says; the words under it say the same."""
        self.until(lambda: self.shows("enrol"))
        number: bytes = self.until(self.photographed)
        assert self.ask("document.getElementById('digits').textContent").replace(" ", "") == number.decode()
        return number.decode()

    def code(self) -> bytes:
        """The moving pass that it shows."""
        self.until(lambda: self.shows("show"))
        code: bytes = self.until(self.photographed)
        return code

    def take(self, text: str) -> None:
        """Paste a pass."""
        self.driver.execute_script(
            "document.getElementById('pass').value = arguments[0]; document.getElementById('taking').requestSubmit()",
            text,
        )


class IPhone(Phone):
    """The engine that every browser on an iPhone has, as Debian builds it, on a screen in memory."""

    def __init__(self, screen: str) -> None:
        environment = {
            **os.environ,
            "DISPLAY": screen,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",  # it refuses to run as root with one
        }
        options = webdriver.WebKitGTKOptions()
        options.binary_location = next(map(str, Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser")))
        options.add_argument("--automation")
        service = webdriver.WebKitGTKService(shutil.which("WebKitWebDriver"), env=environment)
        self.driver = webdriver.WebKitGTK(options=options, service=service)
        self.driver.set_window_size(450, 1000)
        self.driver.set_script_timeout(LONGEST_S)


@pytest.fixture
def screen() -> Iterator[str]:
    """A screen in memory."""
    argv = ["Xvfb", "-displayfd", "1", "-screen", "0", "600x1200x24", "-nolisten", "tcp"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        try:
            yield f":{running.stdout.readline().strip()}"
        finally:
            running.terminate()


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Callable[..., Phone]]:
    """Makes phones, and computers where a size is said."""
    made: list[Phone] = []

    def make(size_px: tuple[int, int] | None = None) -> Phone:
        made.append(Phone(tmp_path / f"browser-{len(made)}", size_px))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """An office with a key that its stations know, and the page."""
    assert main(["pass", "key", "--out", str(tmp_path / "office.key")]) == 0
    (tmp_path / "trust/passes").mkdir(parents=True)
    (tmp_path / "office.pub.pem").rename(tmp_path / "trust/passes/office.pem")
    assert main(["pass", "page", "--out", str(tmp_path / "page")]) == 0
    return tmp_path


@pytest.fixture
def server(office: Path) -> Iterator[tuple[str, list[str], ThreadingHTTPServer]]:
    """Any web server with the folder, what it was asked for, and itself."""
    asked: list[str] = []

    class Noting(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Noting, directory=str(office / "page")))
    thread = Thread(target=served.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}/", asked, served
    served.shutdown()
    thread.join(10)
    served.server_close()


def _issued(office: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    common = ["--registry", str(office / "passes.db"), "--key", str(office / "office.key"), "--number", "NV-0042"]
    assert main(["pass", "issue", *common, "--days", "30", "--name", NAME, *words]) == 0
    return capsys.readouterr().out.splitlines()[1]


def test_phone_shows_what_a_station_believes_for_half_a_minute(
    office: Path,
    server: tuple[str, list[str], ThreadingHTTPServer],
    phone: Callable[[], Phone],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the phone's number by the link to the code: verified now, copied half a minute later, another code in ten seconds.

    Then the server is gone, and the page is opened anew: it still shows the pass.
    """
    url, asked, served = server
    believed = issuers.load(office / "trust")
    mine = phone()
    mine.open(url)
    number = mine.number()
    link = _issued(office, capsys, "--holder-key", number, "--page", url)
    assert link.startswith(f"{url}#")
    mine.open(link)
    code, now_s = mine.code(), time.time()
    verdict = classify(code, (), believed, now_s)
    assert isinstance(verdict, Credential)
    assert (verdict.name, verdict.number, verdict.result) == (NAME, "NV-0042", Result.VERIFIED)
    assert classify(code, (), believed, now_s + 31) == Unproven("pass", UnprovenReason.COPIED)
    assert classify(code, (), believed, now_s - 31) == Unproven("pass", UnprovenReason.COPIED)
    assert NAME in mine.driver.find_element("tag name", "body").text
    assert mine.driver.current_url == url  # the pass is no longer in the address

    next_code = mine.until(lambda: found if (found := mine.photographed()) not in {b"", code} else None)
    assert isinstance(classify(next_code, (), believed, time.time()), Credential)

    assert mine.ask("navigator.serviceWorker.ready.then((ready) => ready.active !== null)")
    mine.until(
        lambda: mine.ask("caches.open((await caches.keys())[0]).then((kept) => kept.keys()).then((all) => all.length)")
    )
    served.shutdown()
    served.server_close()
    mine.driver.refresh()
    assert isinstance(classify(mine.code(), (), believed, time.time()), Credential)
    assert {path.partition("?")[0] for path in asked} <= {"/", "/worker.js", "/manifest.webmanifest", "/icon.png"}


def test_iphones_engine_shows_it_too(
    office: Path,
    server: tuple[str, list[str], ThreadingHTTPServer],
    screen: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same key, the same number, the same signature in WebKit: the station believes the code, and half a minute later it does not."""
    url, _, _ = server
    believed = issuers.load(office / "trust")
    mine = IPhone(screen)
    try:
        mine.open(url)
        number = mine.number()
        mine.driver.refresh()
        assert mine.number() == number
        mine.open(_issued(office, capsys, "--holder-key", number, "--page", url))
        code, now_s = mine.code(), time.time()
    finally:
        mine.close()
    assert isinstance(classify(code, (), believed, now_s), Credential)
    assert classify(code, (), believed, now_s + 31) == Unproven("pass", UnprovenReason.COPIED)


def test_pass_is_of_no_use_without_its_phone(
    office: Path, phone: Callable[[], Phone], capsys: pytest.CaptureFixture[str]
) -> None:
    """One file is enough; the key cannot be taken out; another phone refuses the pass, and its signature is not genuine."""
    page = (office / "page/index.html").as_uri()
    believed = issuers.load(office / "trust")
    mine, other = phone(), phone()
    for each in (mine, other):
        each.open(page)
    numbers = [each.number() for each in (mine, other)]
    assert numbers[0] != numbers[1]
    of_mine, of_other = (_issued(office, capsys, "--holder-key", number) for number in numbers)
    assert classify(of_mine.encode(), (), believed, time.time()) == Unproven("pass", UnprovenReason.COPIED)
    other.take(of_mine)
    refusal = other.until(lambda: other.ask("document.getElementById('refusal').textContent"))
    assert "another phone" in refusal
    assert other.shows("enrol")
    mine.take(of_mine)
    other.take(of_other)
    assert isinstance(classify(mine.code(), (), believed, time.time()), Credential)

    envelope = base45.decode(of_mine.removeprefix("KP1:"))
    _, step, signature = cbor2.loads(base45.decode(other.code().decode().removeprefix("KP1:")))
    forged = f"KP1:{base45.encode(cbor2.dumps([envelope, step, signature]))}"
    assert classify(forged.encode(), (), believed, time.time()) == Unproven("pass", UnprovenReason.NOT_GENUINE)

    taken = """new Promise((done) => { indexedDB.open('kiosk-pass').onsuccess = (event) => {
        event.target.result.transaction('kept').objectStore('kept').get('key').onsuccess = (got) => done(got.target.result)
    } })"""
    assert mine.ask(f"(await {taken}).privateKey.extractable") is False
    assert mine.ask(f"crypto.subtle.exportKey('pkcs8', (await {taken}).privateKey)") == "InvalidAccessError"


@pytest.mark.parametrize(("ahead_s", "taken"), [(-15, True), (15, True), (-60, False), (60, False)])
def test_phones_clock_may_differ_a_little(
    office: Path, phone: Callable[[], Phone], capsys: pytest.CaptureFixture[str], *, ahead_s: int, taken: bool
) -> None:
    """A quarter of a minute is let pass, a minute is not; and while the code is shown the screen is kept awake."""
    mine = phone()
    script = f"""const real = Date.now; Date.now = () => real() + {ahead_s * 1000}; window.woken = 0;
        navigator.wakeLock.request = async () => {{ window.woken += 1; return {{ released: false, release: async () => {{}} }} }}"""
    mine.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    mine.open((office / "page/index.html").as_uri())
    number = mine.number()
    assert mine.ask("window.woken") == 0
    mine.take(_issued(office, capsys, "--holder-key", number))
    verdict = classify(mine.code(), (), issuers.load(office / "trust"), time.time())
    assert mine.ask("window.woken") == 1
    assert isinstance(verdict, Credential) if taken else verdict == Unproven("pass", UnprovenReason.COPIED)


def test_page_reaches_nobody(server: tuple[str, list[str], ThreadingHTTPServer], phone: Callable[[], Phone]) -> None:
    """Its policy lets it fetch nothing, run nothing that was put into it, and it makes no key where none is safe."""
    url, asked, _ = server
    mine = phone()
    mine.open(url)
    number = mine.number()
    assert mine.ask("fetch('/stolen')") == "TypeError"
    mine.driver.execute_script(
        "const put = document.createElement('script'); put.textContent = 'window.stolen = 1'; document.body.append(put)"
    )
    assert mine.ask("window.stolen === undefined")
    assert not [path for path in asked if "stolen" in path]
    mine.take("KP1:NOT A PASS")
    assert "no pass" in mine.until(lambda: mine.ask("document.getElementById('refusal').textContent"))
    mine.driver.refresh()
    assert mine.number() == number
    said = [entry["message"] for entry in mine.driver.get_log("browser")]
    assert not [
        message for message in said if "stolen" not in message and not re.search(r"Content Security Policy", message)
    ]


def _fits(mine: Phone, canvas: str) -> bool:
    """Whether nothing has to be scrolled sideways and the code stands in the page's column, each module whole pixels."""
    asked = f"""(() => {{
        const page = document.documentElement, code = document.getElementById('{canvas}');
        const box = code.getBoundingClientRect(), column = document.querySelector('main').getBoundingClientRect();
        return page.scrollWidth <= page.clientWidth && page.clientWidth < innerWidth && box.width === code.width
            && code.width > 100 && box.left >= column.left && box.right <= column.right;
    }})()"""
    return bool(mine.ask(asked))


def test_nothing_is_scrolled_sideways(
    office: Path, phone: Callable[..., Phone], capsys: pytest.CaptureFixture[str]
) -> None:
    """In windows of many sizes with a bar at the side, opened so or made so: the code is as wide as its column at most.

    Opened from the disk, the page asks for nothing that a browser complains of.
    """
    page = (office / "page/index.html").as_uri()
    sizes_px = [(width, height) for width in (320, 360, 500, 540, 768, 1280) for height in (500, 960)]
    mine = phone(sizes_px[0])
    for size_px in sizes_px:
        mine.resize(*size_px)
        mine.open(page)
        mine.until(lambda: mine.shows("enrol"))
        assert _fits(mine, "phone"), size_px
    for size_px in sizes_px:
        mine.resize(*size_px)
        mine.until(lambda: _fits(mine, "phone"))
    mine.resize(1280, 960)
    mine.take(_issued(office, capsys, "--holder-key", mine.ask("document.getElementById('digits').textContent")))
    for size_px in sizes_px:
        mine.resize(*size_px)
        mine.until(lambda: _fits(mine, "code"))
    assert mine.driver.get_log("browser") == []
