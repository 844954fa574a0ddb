"""What the modules for backups share: the files of one, and how many rows each table has."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql


class Files:
    """A backup by its name: the dump, and the manifest beside it, which is written last."""

    def __init__(self, folder: str, name: str) -> None:
        self.dump = Path(folder, f"{name}.dump")
        self.manifest = Path(folder, f"{name}.json")

    def whole(self) -> dict[str, Any] | None:
        """Answer the manifest, None without one. Raises ValueError if the dump is another one than it says."""
        try:
            said: dict[str, Any] = json.loads(self.manifest.read_text())
        except FileNotFoundError:
            return None
        if not self.dump.exists() or digest(self.dump) != said["sha256"]:
            raise ValueError(f"{self.dump} is not what was backed up: its SHA-256 is not {said['sha256']}")
        return said

    def write(self, said: dict[str, Any]) -> None:
        """Write the manifest for its owner only, whole or not at all."""
        with tempfile.NamedTemporaryFile("w", dir=self.manifest.parent, prefix=".", delete=False) as scratch:
            scratch.write(json.dumps(said, indent=2, sort_keys=True) + "\n")
            scratch.flush()
            os.fsync(scratch.fileno())
        Path(scratch.name).replace(self.manifest)


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Answer how many rows each table has, by its name with its schema."""
    found = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    counts = {}
    for schema, table in sorted(found):
        counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table)))
        counts[f"{schema}.{table}"] = int((counted.fetchone() or (0,))[0])
    return counts


def listed(counts: dict[str, int]) -> str:
    return "".join(f"{table}: {count} rows\n" for table, count in counts.items())
