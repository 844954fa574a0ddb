"""Look for the secrets of an environment in its logs, how old they and the newest proven backup are; tell Prometheus.

Usage: python scan.py PORT SECONDS LOGS DATABASE_CREDENTIALS API_KEY BACKUPS BACKUP_HOURS ROTATION. It looks once in
that many seconds, until it is ended. A secret that is not there yet cannot have leaked. With 0 hours nobody asks for
backups. ROTATION is `rotation` of environment.yml, as JSON; a secret is as old as its file. What cannot be read ends
it: then Prometheus says that it cannot be read, instead of that all is well.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, start_http_server

PASSWORD = b"password="


def secrets(database: Path, key: Path) -> Iterator[tuple[str, bytes]]:
    """The secrets in use, by their names."""
    if database.exists():
        lines = database.read_bytes().splitlines()
        yield from (("database", line.removeprefix(PASSWORD)) for line in lines if line.startswith(PASSWORD))
    if key.exists():
        yield "api_key", key.read_bytes().strip()


def found(logs: Path, wanted: list[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    """The name of each secret that a file below the folder has, and the file's path in it."""
    for path in sorted(logs.rglob("*")):
        try:
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        except FileNotFoundError:
            # The log was just rotated.
            continue
        yield from ((name, str(path.relative_to(logs))) for name, secret in wanted if secret and secret in content)


def newest(backups: Path) -> float:
    """When the newest backup was made of those that were restored once. 0 if there is none."""
    found = backups.glob("*.dump") if backups.is_dir() else ()
    return max((dump.stat().st_mtime for dump in found if restored(dump.with_suffix(".json"))), default=0)


def restored(manifest: Path) -> bool:
    """Whether it says so. One that is being written or removed does not."""
    try:
        return bool(json.loads(manifest.read_text()).get("restored"))
    except (FileNotFoundError, ValueError, AttributeError):
        return False


def seconds_of(span: str) -> float:
    """A span such as 90d or 12h, in seconds."""
    return float(span[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}[span[-1]]


def watch_ages(registry: CollectorRegistry, files: dict[str, Path], rotation: dict[str, dict[str, str]]) -> None:
    """Say when each secret was changed that is to be changed now and then; 0 while there is none."""
    about = "When the secret was changed; 0: it is not there."
    changed = Gauge("arcade_secret_changed_timestamp_seconds", about, ["secret"], registry=registry)
    limit = Gauge("arcade_secret_max_age_seconds", "How old it may be.", ["secret"], registry=registry)
    for name, path in files.items():
        if name in rotation:
            changed.labels(name).set_function(lambda path=path: path.stat().st_mtime if path.exists() else 0)
            limit.labels(name).set(seconds_of(rotation[name]["max_age"]))


def main() -> None:
    """Look, again and again."""
    port, seconds, logs, database, key, backups, hours, rotation = sys.argv[1:]
    registry = CollectorRegistry()
    gauge = Gauge("arcade_secret_in_log", "A file of the logs has a secret.", ["secret", "file"], registry=registry)
    if float(hours):
        made = Gauge("arcade_backup_timestamp_seconds", "When the newest backup was made; 0: never.", registry=registry)
        made.set_function(lambda: newest(Path(backups)))
        limit = Gauge("arcade_backup_max_age_seconds", "How old the newest backup may be.", registry=registry)
        limit.set(float(hours) * 3600)
    watch_ages(registry, {"database": Path(database), "api_key": Path(key)}, json.loads(rotation))
    start_http_server(int(port), "127.0.0.1", registry)
    before: set[tuple[str, str]] = set()
    while True:
        leaked = set(found(Path(logs), list(secrets(Path(database), Path(key)))))
        for each in before - leaked:
            gauge.remove(*each)
        for each in leaked:
            gauge.labels(*each).set(1)
        before = leaked
        time.sleep(float(seconds))


if __name__ == "__main__":
    main()
