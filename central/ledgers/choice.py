"""Which ledger a text names: a file for one machine, or a postgresql:// address for several collectors and large numbers.

psycopg is imported only when it is asked for, so that a centre with a file needs nothing more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from central.ledgers.sqlite import SqliteLedger
from kiosk.errors import LedgerError

if TYPE_CHECKING:
    from central.ledgers.ledger import Ledger

SCHEMES = ("postgresql://", "postgres://")


def open_ledger(text: str, *, existing: bool = False) -> Ledger:
    """Open the ledger; make it if it is not there.

    Args:
        text: A file's path, or a postgresql:// address.
        existing: Make none.

    Raises:
        LedgerError: It cannot be opened, or is not there and must not be made.
    """
    if text.startswith(SCHEMES):
        try:
            from central.ledgers.postgres import PostgresLedger  # noqa: PLC0415  an extra that a file does not need
        except ImportError as error:
            raise LedgerError(
                f"a PostgreSQL ledger needs psycopg ({error})", hint="run `make centre` in the checkout"
            ) from error
        return PostgresLedger(text, existing=existing)
    path = Path(text)
    if existing and not path.exists():
        raise LedgerError(f"there is no ledger at {path}", hint="name it with --ledger")
    return SqliteLedger(path)
