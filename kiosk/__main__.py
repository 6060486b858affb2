"""The command line of a kiosk: wiring and words only.

Exit codes: 0 done, 1 done and the answer is no (nothing read, something lost), 2 wrong configuration or command line,
3 ended in order to be started anew with a new configuration, 10 and above a part that failed (`kiosk.errors`). Errors are one sentence with its remedy on stderr.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk import __version__, log
from kiosk.errors import KioskError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_CONFIG = Path("/etc/kiosk/kiosk.yaml")  # as in kiosk.settings, which help need not load

INSTALLING = {
    "inbox": "/var/lib/kiosk/update",
    "data": "/state/rauc",
    "version-file": "/usr/lib/kiosk/version",
    "fleet-key": "/etc/kiosk/fleet.pem",
}
"""Where `kiosk update install` looks. Root does not ask the configuration, which others write."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    log.hush()
    arguments = _parser().parse_args(argv)
    try:
        # Imported when it is chosen: the uplink must not load a camera, and help should be quick.
        command = importlib.import_module(f"kiosk.commands.{arguments.command.replace('-', '_')}")
        return int(command.run(arguments))
    except KioskError as error:
        print(f"kiosk: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kiosk",
        description="A door station: reads a personal QR code, answers with light and sound, delivers every entry.",
        epilog="Start with `kiosk demo`: the whole system on this machine, without hardware.",
    )
    parser.add_argument("--version", action="version", version=f"kiosk {__version__}")
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path(os.environ.get("KIOSK_CONFIG", DEFAULT_CONFIG)),
        metavar="FILE",
        help=f"configuration (default: $KIOSK_CONFIG or {DEFAULT_CONFIG})",
    )
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="for programs: JSON, one object a line")

    demo = verbs.add_parser("demo", help="the whole system on one machine, with invented people at a simulated door")
    demo.add_argument("--people", type=_count, default=20, metavar="N", help="how many people come (default: 20)")
    demo.add_argument(
        "--seed", type=int, default=1, metavar="S", help="the same seed brings the same people (default: 1)"
    )
    demo.add_argument("--camera", metavar="SOURCE", help="v4l2:/dev/video0 for your webcam, folder:PATH, video:PATH")
    demo.add_argument("--broker", metavar="URL", help="mqtt://host:port of a broker that runs already")
    demo.add_argument("--plain", action="store_true", help="plain lines even on a terminal")
    demo.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="keep outbox and ledger here (default: a temporary folder)"
    )

    verbs.add_parser("run", parents=[configured], help="scan every lane and deliver: all processes of this kiosk")

    scan = verbs.add_parser("scan", parents=[configured], help="camera to outbox, one lane")
    scan.add_argument("--lane", metavar="NAME", help="which lane; may be left out where there is only one")

    verbs.add_parser("uplink", parents=[configured], help="outbox to centre")

    read = verbs.add_parser("read", parents=[as_json], help="decode pictures and say what their codes are")
    read.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="pictures, or folders of them")
    read.add_argument("--explain", action="store_true", help="tell which passes were tried, and what each cost")

    read.add_argument("--trust", type=Path, metavar="DIR", help="trust folder to verify signed codes with")
    read.add_argument("--at", type=_time, metavar="TIME", help="judge expiry at 2026-11-23T08:00+07:00 (default: now)")
    read.add_argument(
        "--vectors", type=Path, metavar="DIR", help="judge a folder of the EU's test vectors for health certificates"
    )

    verbs.add_parser("check", parents=[configured], help="is the configuration right?")

    doctor = verbs.add_parser(
        "doctor",
        parents=[configured, as_json],
        help="try every part once: camera, lights, card, clock, way to the centre",
    )
    doctor.add_argument("--acceptance", action="store_true", help="then ask for what only eyes can see; about an hour")
    doctor.add_argument(
        "--report", type=Path, metavar="FILE", help="where the answers go, or went before (default: acceptance-….jsonl)"
    )

    _add_trying(verbs, configured)

    wiring = verbs.add_parser(
        "wiring", parents=[configured], help="draw the wiring of a configuration, and list its parts"
    )
    wiring.add_argument(
        "--out", type=Path, metavar="FILE", help="where the picture goes, SVG (default: wires and parts only)"
    )

    support = verbs.add_parser(
        "support-bundle",
        parents=[configured],
        help="one file for whoever helps from afar: no entries, no names, no secrets",
    )
    support.add_argument("--out", type=Path, metavar="FILE", help="where it goes, zip (default: kiosk-….zip)")

    outbox = verbs.add_parser(
        "outbox", parents=[configured, as_json], help="what waits for the centre; names are not shown"
    )
    outbox.add_argument(
        "--limit", type=_count, default=10, metavar="N", help="how many of the oldest waiting (default: 10)"
    )
    outbox.add_argument(
        "--resend",
        type=_numbers,
        metavar="FROM..TO",
        help="send these settled entries once more, or everything from FROM on; repeats are harmless",
    )

    verbs.add_parser(
        "prove", parents=[configured], help="wait until this version has proved itself: frames, and receipts or time"
    )

    update = verbs.add_parser(
        "update", parents=[configured, as_json], help="fetch, install, or look at a new version that the centre ordered"
    )
    update.add_argument("what", choices=("fetch", "install", "status"), help="status: how it stands")
    for name, place in INSTALLING.items():
        update.add_argument(f"--{name}", type=Path, default=Path(place), metavar="PATH", help=argparse.SUPPRESS)

    _add_provisioning(verbs, configured)

    verbs.add_parser("status", parents=[configured, as_json], help="how this kiosk is")
    return parser


def _time(text: str) -> float:
    """Unix seconds; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _numbers(text: str) -> tuple[int, int | None]:
    """FROM..TO; FROM and FROM.. go on to the newest that is settled."""
    found = re.fullmatch(r"([1-9][0-9]{0,15})(?:\.\.([1-9][0-9]{0,15})?)?", text)
    if found is None:
        raise argparse.ArgumentTypeError("numbers are written FROM..TO, FROM.. or FROM, as in 41..52")
    first, last = int(found[1]), None if found[2] is None else int(found[2])
    if last is not None and last < first:
        raise argparse.ArgumentTypeError(f"{last} comes before {first}")
    return first, last


def _add_provisioning(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], configured: argparse.ArgumentParser
) -> None:
    provision = verbs.add_parser("provision", parents=[configured], help="set this station up with a code from a file")
    provision.add_argument(
        "--file", type=Path, required=True, metavar="PATH", help="text file with the code; emptied after success"
    )
    provision.add_argument(
        "--wait-s", type=float, default=45.0, metavar="S", help="how long the centre is tried (default: %(default)s)"
    )

    verbs.add_parser(
        "wifi", parents=[configured], help="root's part of joining the network of the code; its service runs it"
    )

    wipe = verbs.add_parser("wipe", parents=[configured], help="remove identity, entries and notes of this station")
    wipe.add_argument("--yes", action="store_true", help="do not ask")


def _add_trying(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], configured: argparse.ArgumentParser
) -> None:
    aim = verbs.add_parser("aim", parents=[configured], help="aim and focus a camera by a line of numbers and by beeps")
    aim.add_argument("--lane", metavar="NAME", help="which lane; may be left out where there is only one")
    aim.add_argument("--camera", metavar="SOURCE", help="another camera than the lane's, as in camera.source")
    aim.add_argument("--seconds", type=_count, metavar="N", help="end after N seconds (default: at Ctrl-C)")
    aim.add_argument("--silent", action="store_true", help="no beeps")
    aim.add_argument("--terminal", action="store_true", help="beeps ring this terminal's bell, whatever pins there are")

    panel = verbs.add_parser("panel", parents=[configured], help="play the lights and sounds, and say what they mean")
    panel.add_argument("cues", nargs="*", metavar="CUE", help="names of cues (default: all, in turn)")
    panel.add_argument("--lane", metavar="NAME", help="which lane; may be left out where there is only one")
    panel.add_argument(
        "--terminal",
        action="store_true",
        help="show them here, whatever pins there are: each light as a colour, each beep as the terminal's bell",
    )
    panel.add_argument(
        "--ended",
        action="store_true",
        help="play nothing: leave the light as it should be after a scan process has gone",
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
