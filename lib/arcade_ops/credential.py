"""Whether a password that became known still opens the database."""

from pathlib import Path

import psycopg

from opsbook import EffectFailed, effect


@effect(changes=False)
def leaked_opens(database: str, leaked: str) -> bool:
    """Try the password in the file `leaked`, relative to the project. The password itself is in no argument or result.

    `database` is a libpq connection string without a password. Raises EffectFailed when the database does not
    answer, or the file cannot be read: then nobody knows.
    """
    try:
        password = Path(leaked).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EffectFailed(f"{leaked} cannot be read: {error.strerror}", untouched=True) from error
    try:
        psycopg.connect(database, password=password, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        # A server that refuses says so; one that is not there does not say FATAL. libpq gives no code for it.
        if "password authentication failed" in str(error):
            return False
        raise EffectFailed("the database does not answer") from error
    return True
