"""Whether a password that became known still opens the database, and where the present one stands in a log."""

from pathlib import Path

import psycopg
from psycopg import conninfo

from opsbook import EffectFailed, effect, here


@effect(changes=False)
def leaked_opens(database: str, leaked: str) -> bool:
    """Try the password in the file `leaked`, relative to the project. The password itself is in no argument or result.

    `database` is a libpq connection string without a password; a `host` with a slash is the folder of the server's
    socket, relative to the project. Raises EffectFailed when the database does not
    answer, or the file cannot be read: then nobody knows.
    """
    try:
        password = Path(leaked).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EffectFailed(f"{leaked} cannot be read: {error.strerror}", untouched=True) from error
    try:
        psycopg.connect(_resolved(database), password=password, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        # A server that refuses says so; one that is not there does not say FATAL. libpq gives no code for it.
        if "password authentication failed" in str(error):
            return False
        raise EffectFailed("the database does not answer") from error
    return True


def _resolved(database: str) -> str:
    """libpq wants the path of a socket whole, and in less than 108 bytes: that of the folder a link leads to."""
    host = str(conninfo.conninfo_to_dict(database).get("host") or "")
    return conninfo.make_conninfo(database, host=str(Path(host).resolve())) if "/" in host else database


@effect(changes=False)
def leaks() -> list[str]:
    """The logs of this environment in which the database's present password stands, as paths in the project.

    The password itself is in no result. Raises EffectFailed when it cannot be read: then nobody knows.
    """
    folder = Path(here.root) / ".opsbook/env" / here.environment
    try:
        password = (folder / "secrets/db_password").read_bytes().strip()
        return sorted(str(path.relative_to(here.root)) for path in _files(folder / "logs") if _holds(path, password))
    except OSError as error:
        raise EffectFailed(f"{error.filename} cannot be read: {error.strerror}", untouched=True) from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _holds(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except FileNotFoundError:
        # A log that was just replaced by a new one.
        return False
