"""What the modules share that need a database of their own on the server, for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo


@contextmanager
def scratch_database(conninfo: str, database: str) -> Iterator[str]:
    """Answer how the administrator finds an empty database beside this one; it is gone afterwards.

    There is one, which pg_hba.conf names: whoever comes second waits a minute for it. Raises psycopg.Error.
    """
    name, owner = sql.Identifier(f"{database}_restored"), sql.Identifier(database)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
    with psycopg.connect(conninfo, connect_timeout=10, autocommit=True, options="-c lock_timeout=60s") as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('scratch database'))")
        # One that a stopped run has left.
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(name, owner))
        try:
            yield make_conninfo(conninfo, dbname=f"{database}_restored")
        finally:
            connection.execute(drop)
