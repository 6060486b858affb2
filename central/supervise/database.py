"""The supervision's own tables, in a SQLite file or in the schema `supervision` of a PostgreSQL: one text of SQL for both.

It is no part of the ledger: what an officer registers is changed and corrected, what a door has recorded never is. Statements have `?` where
values go, which PostgreSQL's driver calls `%s`; nothing else differs but how the tables are begun.

Units: `_s` seconds.
"""

from __future__ import annotations

import os
import sqlite3
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

SCHEMES = ("postgresql://", "postgres://")
APPLICATION_ID = 0x4B535550  # "KSUP"
VERSION = 1
BUSY_S, CONNECT_S = 10, 10
_NAME = "name another with --supervision"
TABLES = """
CREATE TABLE area (
    id TEXT PRIMARY KEY, parent TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, name_en TEXT NOT NULL, population INTEGER,
    begins TEXT NOT NULL, until TEXT
);
CREATE TABLE site (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL, contact TEXT NOT NULL, phone TEXT NOT NULL,
    hours TEXT NOT NULL, longest_stay_min INTEGER NOT NULL, lag_min INTEGER NOT NULL, needs TEXT NOT NULL, exempt TEXT NOT NULL,
    begins TEXT NOT NULL, until TEXT
);
CREATE TABLE lies (
    site TEXT NOT NULL REFERENCES site, area TEXT NOT NULL REFERENCES area, begins TEXT NOT NULL, until TEXT, PRIMARY KEY (site, begins)
);
CREATE TABLE point (
    kiosk TEXT NOT NULL, site TEXT NOT NULL REFERENCES site, begins TEXT NOT NULL, until TEXT, PRIMARY KEY (kiosk, begins)
);
CREATE INDEX point_site ON point (site);
CREATE TABLE officer (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, area TEXT NOT NULL, site TEXT NOT NULL, made_s BIGINT NOT NULL,
    disabled_s BIGINT
)
"""


class Database(ABC):
    """One connection. One thread at a time; several processes may have it open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of an answer.

        Raises:
            SupervisionError: It cannot be asked.
        """

    @abstractmethod
    def run(self, statement: str, rows: Sequence[Sequence[object]] = ((),)) -> None:
        """Do it for each row of values.

        Raises:
            SupervisionError: It cannot be done.
        """

    @abstractmethod
    def transaction(self) -> Any:  # noqa: ANN401  a context manager of the driver's or ours
        """All of what is done within, durably when it is left, or nothing."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""


def open_database(place: str, *, new: bool = False) -> Database:
    """Open it.

    Args:
        place: A file's path, or a postgresql:// address.
        new: Whether it is begun where there is none yet; never silently, so that an office has one.

    Raises:
        SupervisionError: It cannot be opened, or there is none.
    """
    return _Postgres(place, new=new) if place.startswith(SCHEMES) else _Sqlite(Path(place), new=new)


class _Sqlite(Database):
    """In a file."""

    def __init__(self, path: Path, *, new: bool) -> None:
        self._path = path
        if not new and not path.exists():
            raise SupervisionError(f"there is no register at {path}", hint=f"begin one with --new, or {_NAME}")
        with self._named("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            with self._named("open"):
                self._prepare()
        except SupervisionError:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        with self.transaction():
            if not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in TABLES.split(";"):
                    execute(statement)
                execute(f"PRAGMA application_id = {APPLICATION_ID}")
                execute(f"PRAGMA user_version = {VERSION}")
        if execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise SupervisionError(f"{self._path} is another program's database", hint=_NAME)
        _check_version(str(self._path), execute("PRAGMA user_version").fetchone()[0])

    def all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._named("read"):
            return [tuple(row) for row in self._connection.execute(statement, values)]

    def run(self, statement: str, rows: Sequence[Sequence[object]] = ((),)) -> None:
        with self._named("write"):
            self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._named("write"):
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        with self._named("write"):
            self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise SupervisionError(f"cannot {what} {self._path}: {error}", hint=f"mend that, or {_NAME}") from error


class _Postgres(Database):
    """In a schema of its own; psycopg is loaded only where it is asked for."""

    def __init__(self, url: str, *, new: bool) -> None:
        try:
            import psycopg  # noqa: PLC0415  an extra that a file does not need
        except ImportError as error:
            raise SupervisionError(
                f"PostgreSQL needs psycopg ({error})", hint="run `make centre` in the checkout"
            ) from error
        self._error = psycopg.Error
        with self._named("open"):
            self._connection = psycopg.connect(
                url, autocommit=True, connect_timeout=CONNECT_S, application_name="kiosk supervision"
            )
        try:
            with self._named("open"):
                self._prepare(new=new)
        except SupervisionError:
            self._connection.close()
            raise

    def _prepare(self, *, new: bool) -> None:
        execute = self._connection.execute
        execute("SET search_path = supervision, pg_temp")
        with self._connection.transaction():
            execute("SELECT pg_advisory_xact_lock(1263751504)")  # those that start together
            known = execute("SELECT to_regclass('supervision.about') IS NOT NULL").fetchone()
            if known is None or not known[0]:
                if not new:
                    raise SupervisionError("the database has no register yet", hint=f"begin one with --new, or {_NAME}")
                execute("CREATE SCHEMA supervision")
                for statement in TABLES.split(";"):
                    execute(statement.encode())
                execute("CREATE TABLE about (version INTEGER NOT NULL)")
                execute("INSERT INTO about VALUES (%s)", (VERSION,))
        found = execute("SELECT max(version) FROM about").fetchone()
        _check_version("the database's register", found[0] if found else None)

    def all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._named("read"):
            return self._connection.execute(_percent(statement), values).fetchall()

    def run(self, statement: str, rows: Sequence[Sequence[object]] = ((),)) -> None:
        with self._named("write"), self._connection.cursor() as cursor:
            cursor.executemany(_percent(statement), rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._named("write"), self._connection.transaction():
            yield

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            said = str(error).strip().partition("\n")[0]
            raise SupervisionError(f"cannot {what} the database: {said}", hint=f"mend that, or {_NAME}") from error


def _percent(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()


def _check_version(name: str, version: int | None) -> None:
    if version != VERSION:
        raise SupervisionError(f"{name} has version {version}, not {VERSION}", hint="run the central that made it")
