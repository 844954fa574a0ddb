"""Settings from the environment, and where the files of this tree lie."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from arcade.errors import SettingsError
from arcade.tunables import Tunables, read_tunables

TREE = Path(__file__).resolve().parent.parent
DEFAULT_DRAIN_SECONDS = 1.0
MAX_DRAIN_SECONDS = 5.0
DEFAULT_MESSAGES_QUOTA = 4 * 1024 * 1024
MIN_MESSAGES_QUOTA = 64 * 1024


@dataclass(frozen=True)
class Settings:
    """What one instance needs to run. `port` 0 is allowed nowhere: a load balancer must know it."""

    host: str
    port: int
    instance: str
    database: str
    password_file: Path | None
    service_file: Path | None
    sandbox: bool
    drain_seconds: float
    messages_folder: Path | None
    messages_quota: int
    environment: str
    flags: Path | None
    keys: Path | None
    tunables: Tunables
    version: str


def read_version(tree: Path = TREE) -> str:
    """The version of a release tree, "dev" for a tree without a VERSION file."""
    try:
        return (tree / "VERSION").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "dev"


def read_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """The settings of `serve`. Raises SettingsError that names the variable that is wrong."""
    port = _port(env)
    return Settings(
        host=env.get("ARCADE_HOST") or "127.0.0.1",
        port=port,
        instance=env.get("ARCADE_INSTANCE") or f"arcade-{port}",
        database=read_database(env),
        password_file=read_password_file(env),
        service_file=read_service_file(env),
        sandbox=env.get("ARCADE_SANDBOX") == "1",
        drain_seconds=_drain_seconds(env),
        messages_folder=_path(env, "ARCADE_MESSAGES_FOLDER"),
        messages_quota=_messages_quota(env),
        environment=_environment(env),
        flags=_path(env, "ARCADE_FLAGS"),
        keys=_path(env, "ARCADE_KEYS"),
        tunables=read_tunables(_path(env, "ARCADE_SETTINGS")),
        version=read_version(),
    )


def read_database(env: Mapping[str, str] = os.environ) -> str:
    """The libpq connection string or URL. Raises SettingsError when it is not set."""
    database = env.get("ARCADE_DATABASE", "")
    if not database:
        raise SettingsError("ARCADE_DATABASE is not set: it names the PostgreSQL database")
    return database


def read_password_file(env: Mapping[str, str] = os.environ) -> Path | None:
    """The password file's path, checked once so that a wrong one shows at the start."""
    return _secret_file(env, "ARCADE_DATABASE_PASSWORD_FILE")


def read_service_file(env: Mapping[str, str] = os.environ) -> Path | None:
    """The file in which libpq finds the role and the password by itself, checked once as the password file is."""
    return _secret_file(env, "PGSERVICEFILE")


def _secret_file(env: Mapping[str, str], name: str) -> Path | None:
    path = _path(env, name)
    if path is not None:
        read_password(path)
    return path


def read_password(path: Path) -> str:
    """The text of `path`. Raises SettingsError when others could read it, or it is not readable."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(f"the password file {path} must be readable by its owner only (mode 0600)")
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the password file {path} cannot be read: {error}") from error


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name, "")
    return Path(value) if value else None


def _port(env: Mapping[str, str]) -> int:
    text = env.get("ARCADE_PORT", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise SettingsError(f"ARCADE_PORT is {text!r}: a port from 1 to 65535 is needed")
    return int(text)


def _messages_quota(env: Mapping[str, str]) -> int:
    text = env.get("ARCADE_MESSAGES_QUOTA") or str(DEFAULT_MESSAGES_QUOTA)
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= MIN_MESSAGES_QUOTA):
        raise SettingsError(f"ARCADE_MESSAGES_QUOTA is {text!r}: {MIN_MESSAGES_QUOTA} bytes or more are needed")
    return int(text)


def _environment(env: Mapping[str, str]) -> str:
    text = env.get("ARCADE_ENVIRONMENT", "")
    if not (text.isascii() and text.isprintable() and len(text) <= 200):
        raise SettingsError(f"ARCADE_ENVIRONMENT is {text!r}: up to 200 plain characters are possible")
    return text


def _drain_seconds(env: Mapping[str, str]) -> float:
    text = env.get("ARCADE_DRAIN_SECONDS") or str(DEFAULT_DRAIN_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_DRAIN_SECONDS:
        raise SettingsError(f"ARCADE_DRAIN_SECONDS is {text!r}: 0 to {MAX_DRAIN_SECONDS:g} seconds are possible")
    return seconds
