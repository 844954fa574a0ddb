"""One PostgreSQL connection that comes back after the server was away."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from arcade.errors import ArcadeError, SettingsError, UnavailableError
from arcade.settings import read_password

CONNECT_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MS = 5000
LOCK_TIMEOUT_MS = 30_000
RETRY_SECONDS = 1.0
"""How long a connection with the earlier credentials goes on before the new ones are tried again."""

Stamp = tuple[int, int] | None


@dataclass(frozen=True)
class Address:
    """Where the database is. The credentials are read at each connect, so that changed ones are taken up.

    `service_file` is the one in which libpq itself looks up the `service` of the connection string.
    """

    database: str
    password_file: Path | None
    application: str
    service_file: Path | None = None

    def stamp(self) -> Stamp:
        """What differs once the credentials were replaced; None while they cannot be seen."""
        path = self.service_file or self.password_file
        try:
            found = path.stat() if path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino) if found else None

    def connect(self, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS) -> Connection[Any]:
        """A new connection in autocommit mode; 0 ms is no limit. Raises SettingsError, psycopg.Error."""
        try:
            parameters: dict[str, Any] = conninfo_to_dict(self.database)
        except psycopg.ProgrammingError as error:
            raise SettingsError(f"ARCADE_DATABASE cannot be understood: {first_line(error)}") from error
        limits = f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={LOCK_TIMEOUT_MS}"
        parameters["options"] = f"{parameters.get('options') or ''} {limits}".strip()
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
        parameters.setdefault("application_name", self.application)
        if self.password_file:
            parameters["password"] = read_password(self.password_file)
        return psycopg.connect(**parameters, autocommit=True)


class Database:
    """Holds one connection for one thread at a time, and replaces it when it broke."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: Connection[Any] | None = None
        self._stamp: Stamp = None
        self._retry_at = 0.0

    @contextmanager
    def transaction(self) -> Iterator[Connection[Any]]:
        """A transaction: committed at the end, rolled back on any error.

        Raises UnavailableError when the database does not answer, ArcadeError when it refuses a statement.
        """
        with database_errors():
            connection = self._begin()
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _begin(self) -> Connection[Any]:
        # BEGIN is also the test of a connection that may have died while idle: nothing is lost yet.
        self._renew()
        if self._connection is not None:
            try:
                self._connection.execute("BEGIN")
            except psycopg.OperationalError:
                self.close()
            else:
                return self._connection
        self._connection = self._connect()
        self._connection.execute("BEGIN")
        return self._connection

    def _connect(self) -> Connection[Any]:
        # Before the connect: what is replaced meanwhile is seen the next time.
        self._stamp = self._address.stamp()
        return self._address.connect()

    def _renew(self) -> None:
        """Connect anew once the credentials were replaced; where that fails, the present connection goes on."""
        if self._connection is None or time.monotonic() < self._retry_at or self._stamp == self._address.stamp():
            return
        before, earlier = self._connection, self._stamp
        try:
            self._connection = self._connect()
        except (psycopg.Error, ArcadeError):
            self._stamp, self._retry_at = earlier, time.monotonic() + RETRY_SECONDS
            return
        with suppress(psycopg.Error):
            before.close()

    def _roll_back(self, connection: Connection[Any]) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()


@contextmanager
def database_errors() -> Iterator[None]:
    """Turns psycopg's errors into UnavailableError or ArcadeError with one sentence."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(f"the database does not answer: {first_line(error)}") from error
    except psycopg.Error as error:
        raise ArcadeError(f"the database refused: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """The first line of an error's text; PostgreSQL adds hints on further lines."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
