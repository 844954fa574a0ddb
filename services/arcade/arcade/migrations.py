"""Versioned migrations: SQL files applied in order, each once, each in a transaction."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from arcade.database import Address, database_errors, first_line
from arcade.errors import MigrationError

_FILE_NAME = re.compile(r"^([0-9]{4})_[a-z0-9_]+\.sql$")
# Any fixed number does, as long as every release uses the same one.
_LOCK = 0x617263616465

_CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS arcade_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


@dataclass(frozen=True)
class Migration:
    """One file: its number, its name without `.sql`, its SQL, and the SHA-256 of the file."""

    version: int
    name: str
    sql: bytes
    checksum: str


@dataclass(frozen=True)
class MigrationReport:
    """What one run applied, the schema version after it, and what is still pending."""

    applied: list[str]
    version: int
    pending: list[str]


def read_migrations(folder: Path) -> list[Migration]:
    """The migrations in `folder` by number. Raises MigrationError for odd names and double numbers."""
    migrations = [_read(path) for path in sorted(folder.glob("*.sql"))]
    for one, other in pairwise(migrations):
        if one.version == other.version:
            raise MigrationError(f"{one.name} and {other.name} have the same number")
    if not migrations:
        raise MigrationError(f"{folder} holds no migrations")
    return migrations


def migrate(address: Address, migrations: list[Migration]) -> MigrationReport:
    """Apply what is pending; several at once are safe, because one waits for the other.

    Raises MigrationError when an applied file changed or a file fails, UnavailableError without a database.
    """
    with _session(address) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(_CREATE_TABLE)
        pending = _pending(migrations, _recorded(connection))
        for migration in pending:
            _apply(connection, migration)
        return MigrationReport([migration.name for migration in pending], schema_version(connection), [])


def status(address: Address, migrations: list[Migration]) -> MigrationReport:
    """What `migrate` would do, without changing anything. Raises as `migrate` does."""
    with _session(address) as connection:
        pending = _pending(migrations, _recorded(connection))
        return MigrationReport([], schema_version(connection), [migration.name for migration in pending])


def schema_version(connection: Connection[Any]) -> int:
    """The highest applied migration, 0 for none. Raises psycopg.Error."""
    return max(_recorded(connection), default=0)


def _read(path: Path) -> Migration:
    match = _FILE_NAME.match(path.name)
    if not match:
        raise MigrationError(f"{path.name} is no migration name: it must be like 0001_players.sql")
    sql = path.read_bytes()
    return Migration(int(match[1]), path.stem, sql, hashlib.sha256(sql).hexdigest())


@contextmanager
def _session(address: Address) -> Iterator[Connection[Any]]:
    # Closing the connection also gives the advisory lock back, whatever happened.
    with database_errors(), closing(address.connect(statement_timeout_ms=0)) as connection:
        yield connection


def _recorded(connection: Connection[Any]) -> dict[int, str]:
    try:
        rows = connection.execute("SELECT version, checksum FROM arcade_migrations").fetchall()
    except psycopg.errors.UndefinedTable:
        return {}
    return dict(rows)


def _pending(migrations: list[Migration], recorded: dict[int, str]) -> list[Migration]:
    for migration in migrations:
        if recorded.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(f"{migration.name} was applied with other content: an applied file never changes")
    before = migrations[0].version - 1
    if max(recorded, default=0) < before:
        raise MigrationError(
            f"the schema is at {max(recorded, default=0)}, and this release goes on from {before} at the earliest: "
            "deploy a release between first"
        )
    return [migration for migration in migrations if migration.version not in recorded]


def _apply(connection: Connection[Any], migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO arcade_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
    except psycopg.Error as error:
        raise MigrationError(f"{migration.name} failed and left no trace: {first_line(error)}") from error
