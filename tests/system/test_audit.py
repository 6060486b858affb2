"""`make sbom` and `make audit` on the product's real packages; advisories come from a stand-in for OSV on the loopback.

Needs what `make audit` installs: `make test-audit` sees to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:9"
pytestmark = [
    pytest.mark.skipif(find_spec("pip_audit") is None, reason="`make test-audit` installs pip-audit and runs this"),
    pytest.mark.xdist_group("audit"),
]


@pytest.fixture(scope="module")
def product() -> Path:
    """The environment that `make sbom` and `make audit` make afresh each time, made once."""
    done = _run("sbom")
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout
    return ROOT / "build" / "product"


def _run(verb: str, osv_url: str = NOWHERE, product: Path | None = None) -> subprocess.CompletedProcess[str]:
    """With PyPI's advisories out of reach, so that the answer is the stand-in's alone."""
    away = {"HTTPS_PROXY": NOWHERE, "https_proxy": NOWHERE, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    ready = {} if product is None else {"PRODUCT": str(product)}
    return subprocess.run(
        [str(ROOT / "audit.sh"), sys.executable, sys.prefix, verb],
        capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"OSV_URL": osv_url} | ready | (away if verb == "audit" else {}),
    )  # fmt: skip


@contextmanager
def _osv(answer: Callable[[str, str], dict[str, object] | None]) -> Iterator[str]:
    """A service that answers queries for (package, version); None is an error of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = answer(query["package"]["name"], query["version"])
            body = b"" if told is None else json.dumps(told).encode()
            self.send_response(500 if told is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def _hole(package: str) -> dict[str, object]:
    versions = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}
    affected = [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [versions]}]
    return {"vulns": [{"id": "TEST-2026-1", "summary": "a hole", "affected": affected}]}


@pytest.mark.usefixtures("product")
def test_list_of_parts_is_whole_and_valid() -> None:
    """CycloneDX, validated, with what the stations import in it, versions and all, and none of the developers' tools."""
    bom = json.loads((ROOT / "build" / "sbom.cdx.json").read_text("utf-8"))
    assert bom["bomFormat"] == "CycloneDX"
    versions = {part["name"].lower(): part["version"] for part in bom["components"]}
    assert {"cbor2", "cryptography", "paho-mqtt", "pydantic", "pyyaml", "zxing-cpp"} <= set(versions)
    assert all(versions.values())
    assert not {"pytest", "ruff", "mypy", "pip-audit", "atheris"} & set(versions)


def test_known_hole_fails_the_audit(product: Path) -> None:
    """One advisory against one package: it is named with the version that mends it, and the exit code is 1."""
    asked: list[str] = []

    def answer(package: str, _version: str) -> dict[str, object]:
        asked.append(package)
        return _hole(package) if package == "cbor2" else {}

    with _osv(answer) as url:
        done = _run("audit", url, product)
    assert done.returncode == 1, done.stderr
    hole, total = done.stdout.splitlines()[-2:]
    assert hole.startswith("cbor2 ")
    assert hole.endswith(": TEST-2026-1, mended in 99.0")
    assert total == f"audit packages={len(asked)} known=1"
    assert {"cryptography", "paho-mqtt"} <= set(asked)


def test_nothing_known_passes_the_audit(product: Path) -> None:
    """Every package was asked about, and there is nothing: exit code 0."""
    asked: list[str] = []

    def answer(package: str, _version: str) -> dict[str, object]:
        asked.append(package)
        return {}

    with _osv(answer) as url:
        done = _run("audit", url, product)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"audit packages={len(asked)} known=0")
    assert len(asked) > 20


@pytest.mark.parametrize("how", ["nobody there", "an error", "an error for one package"])
def test_nobody_to_ask_is_no_clean_bill(how: str, product: Path) -> None:
    """Neither service answers, or not for all: exit code 3, and what to do instead."""
    if how == "nobody there":
        done = _run("audit", product=product)
    else:
        ill = "cryptography" if how == "an error for one package" else ""
        with _osv(lambda package, _version: None if ill in {"", package} else {}) as url:
            done = _run("audit", url, product)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nobody could be asked" in done.stderr
    assert "carry build/product.txt" in done.stderr
    assert (ROOT / "build" / "product.txt").read_text("utf-8").count("==") > 20


def test_another_word_is_refused(product: Path) -> None:
    """`audit.sh` knows two verbs."""
    done = _run("mend", product=product)
    assert done.returncode == 2
    assert "neither sbom nor audit" in done.stderr
