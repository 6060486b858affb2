"""Words that several verbs of the centre's command line share."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TextIO

from central.intake.collector import Broker
from kiosk.errors import LedgerError


def broker_of(arguments: argparse.Namespace, client_id: str) -> Broker:
    """Where the broker is, and what the centre shows of itself."""
    return Broker(
        url=arguments.broker,
        client_id=client_id,
        username=arguments.username,
        password_file=arguments.password_file,
        ca_file=arguments.ca_file,
        cert_file=arguments.cert_file,
        key_file=arguments.key_file,
        least_tls=arguments.least_tls,
    )


def add_broker(parser: argparse._ActionsContainer) -> None:
    """How to prove oneself at the broker."""
    parser.add_argument("--username", metavar="NAME", help="user at the broker")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with the password, one line")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="authority that certifies the broker, PEM (default: the system's)"
    )
    parser.add_argument("--cert-file", type=Path, metavar="FILE", help="the certificate to show it, PEM")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="its key, PEM")
    parser.add_argument(
        "--least-tls", choices=("1.3", "1.2"), default="1.3", help="oldest TLS that is spoken (default: %(default)s)"
    )


def kiosk(text: str) -> str:
    """A station's id."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", text):
        raise argparse.ArgumentTypeError("a kiosk's id has lower-case letters, digits and hyphens")
    return text


def private_file(path: Path) -> TextIO:
    """A new file that only its owner may read: it holds names."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror}", hint="name another file with --out") from error
