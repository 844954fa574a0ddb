"""Whether leaked credentials still open the database, and which logs contain the current ones."""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path

import psycopg
from psycopg import conninfo

from opsbook import EffectFailed, effect, here


@effect(changes=False)
def leaked_opens(database: str, leaked: str) -> bool:
    """Whether the credentials in the file `leaked` open the database. They are in no argument or result.

    `leaked` is relative to the project. `database` is a libpq connection string without a password; a `host` with a
    slash is the folder of the server's socket, relative to the project. Raises EffectFailed if the database does
    not answer or the file cannot be read.
    """
    try:
        found = credentials(Path(leaked))
    except (OSError, ValueError) as error:
        raise EffectFailed(f"{leaked} cannot be read: {error}", untouched=True) from error
    try:
        psycopg.connect(conninfo.make_conninfo(_resolved(database), connect_timeout=3, **found)).close()
    except psycopg.OperationalError as error:
        # libpq has no error code for what is refused; only the text tells it from a server that is down.
        if "password authentication failed" in str(error) or "not permitted to log in" in str(error):
            return False
        raise EffectFailed("the database does not answer") from error
    return True


@effect(changes=False)
def others() -> list[tuple[str, str]]:
    """Each other environment here with credentials of a database: its name, and the file, relative to the project."""
    found = sorted(Path(here.state, "env").glob("*/secrets/database.conf"))
    named = ((path.parents[1].name, os.path.relpath(path)) for path in found)
    return [(name, file) for name, file in named if name != here.environment]


def credentials(path: Path) -> Mapping[str, str]:
    """`user` and `password` from a service file of libpq. Raises OSError, ValueError without them."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        (service,) = parser.sections()
        return {name: parser.get(service, name) for name in ("user", "password")}
    except Error as error:
        # Its own text quotes the file.
        raise ValueError("it has no role and password") from error


def _resolved(database: str) -> str:
    """libpq wants an absolute socket path of less than 108 bytes: links are resolved."""
    hosts = str(conninfo.conninfo_to_dict(database).get("host") or "").split(",")
    found = ",".join(str(Path(each).resolve()) if "/" in each else each for each in hosts)
    return conninfo.make_conninfo(database, host=found) if found else database


@effect(changes=False)
def leaks() -> list[str]:
    """Which secret in use stands in which log of this environment, one sentence each; logs are paths in the project.

    No secret is in the result. Raises EffectFailed if a secret or a log cannot be read.
    """
    folder = Path(here.root) / ".opsbook/env" / here.environment
    try:
        secrets = {"the password of the database": credentials(folder / "secrets/database.conf")["password"].encode()}
        if (key := folder / "secrets/api.key").exists():
            secrets["the API key of the partners"] = key.read_bytes().strip()
        logs = sorted(_files(folder / "logs"))
        return [
            f"{name} stands in {', '.join(str(path.relative_to(here.root)) for path in found)}"
            for name, secret in secrets.items()
            if (found := [path for path in logs if _holds(path, secret)])
        ]
    except OSError as error:
        raise EffectFailed(f"{error.filename} cannot be read: {error.strerror}", untouched=True) from error
    except ValueError as error:
        raise EffectFailed(f"the database's credentials cannot be read: {error}", untouched=True) from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _holds(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except FileNotFoundError:
        # The log was just rotated.
        return False
