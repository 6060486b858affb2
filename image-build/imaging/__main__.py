"""`python -m imaging`: build an image of a board and everything that belongs beside it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from imaging import build as building
from imaging import bundle, host, manifest, parts, release, signing
from imaging.layers import LayerError
from kiosk import __version__

KEYS = Path(os.environ.get("KIOSK_KEYS", building.PROJECT / "build" / "keys"))

NOWHERE = "https://kiosk.invalid/"


def main() -> int:
    """Build; 0 done, 1 two builds differ, 2 something is missing."""
    parser = argparse.ArgumentParser(prog="imaging", description=__doc__)
    parser.add_argument("--board", default="virt", help="a name of image-build/config (default: virt)")
    parser.add_argument("--archives", type=Path, default=building.FOLDER / "archives.yaml", help="lists of archives")
    parser.add_argument("--work", type=Path, default=building.PROJECT / "build" / "image", help="where parts are kept")
    parser.add_argument("--fresh", action="store_true", help="make the slow parts again")
    parser.add_argument("--raw", action="store_true", help="the raw image only, as tests need it")
    parser.add_argument("--twice", action="store_true", help="build twice and compare")
    parser.add_argument("--lock", action="store_true", help="only lock the Python packages' newest versions")
    parser.add_argument("--keys", action="store_true", help="only make the keys of updates, in build/keys")
    parser.add_argument("--bundle", action="store_true", help="make a signed update of the image")
    parser.add_argument("--key", type=Path, default=KEYS / "update.key", help="the key that signs it")
    parser.add_argument("--cert", type=Path, default=KEYS / "update.pem", help="its certificate")
    parser.add_argument("--url", default=NOWHERE, help="folder from which the image will be downloaded, https://…/")
    arguments = parser.parse_args()
    started_s = time.monotonic()
    order = building.Order(
        arguments.board,
        arguments.archives,
        arguments.work,
        arguments.fresh,
        building.epoch_s(),
        listed=not (arguments.raw or arguments.twice),
    )
    try:
        if arguments.lock:
            parts.lock(building.FOLDER, building.PROJECT, arguments.work)
            return 0
        if arguments.keys:
            signing.make(KEYS)
            host.say(f"{KEYS}: update-ca.pem goes into every image; keep update-ca.key locked away, update.key signs")
            return 0
        image = building.build(order)
        if arguments.twice:
            return _compare(order, image)
        if arguments.bundle:
            host.say("bundle")
            signer = bundle.Signer(arguments.key, arguments.cert, KEYS / "update-ca.pem")
            image = bundle.build(image, arguments.board, release.version(order.epoch_s), signer)
        elif not arguments.raw:
            _pack(image, arguments.board, f"{arguments.url.rstrip('/')}/")
    except (host.HostError, LayerError, OSError) as error:
        sys.stderr.write(f"image: {error}\n")
        return 2
    host.say(f"{image} after {time.monotonic() - started_s:.0f} s")
    return 0


def _compare(order: building.Order, image: Path) -> int:
    first = host.sha256_of(image)
    second = host.sha256_of(building.build(order))
    print(f"first  {first}\nsecond {second}\n{'the same' if first == second else 'DIFFERENT'}")
    return int(first != second)


def _pack(image: Path, board: str, url: str) -> None:
    host.say("packing")
    packed = image.with_suffix(".img.zst")
    subprocess.run(["zstd", "-q", "-f", "-T0", "-9", str(image), "-o", str(packed)], check=True)
    subprocess.run(["bmaptool", "-q", "create", "-o", str(image.with_suffix(".bmap")), str(image)], check=True)
    sums = "".join(f"{host.sha256_of(path)}  {path.name}\n" for path in (image, packed))
    image.with_suffix(".sha256").write_text(sums, "utf-8")
    document = manifest.entry(image, packed, board, __version__, url)
    wrong = manifest.problems_of(document, packed, datetime.now(UTC).date())
    if wrong:
        raise host.HostError("the manifest is wrong: " + "; ".join(wrong))
    image.with_name("os_list.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    manifest.draw_icon(image.parent)
    if url == NOWHERE:
        host.say(
            f"os_list.json names {url}: with make image URL=https://… it names the folder where you will put these files"
        )


if __name__ == "__main__":
    sys.exit(main())
