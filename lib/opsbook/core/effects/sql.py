"""The sql effect: one statement in PostgreSQL. The only module that uses psycopg, which comes with opsbook[sql]."""

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import Interrupted, perform
from opsbook.core.effects.clean import revealed
from opsbook.core.effects.show import Shown
from opsbook.core.model.text import one_line
from opsbook.errors import EffectFailed
from opsbook.params import Secret

if TYPE_CHECKING:
    import psycopg

LIMIT = 10_000
"""Rows of an answer that are kept; `more` says that there were others."""

_SHOWN, _LONGEST = 20, 200
"""Rows that a table shows; characters of a statement in the journal's summary."""

_BYTES = 8 * 1024 * 1024
"""Characters of an answer that are kept."""

_LONGEST_WAIT, _PATIENCE = 7 * 24 * 3600.0, 2.0
"""The longest limit, in seconds, and how much longer to wait for a server that keeps a limit itself."""

_READS = frozenset({"select", "with", "values", "table", "show", "explain"})
_COUNTED = frozenset({"insert", "update", "delete", "merge"})
_EXPLAINED = _COUNTED | {"select", "with", "values"}
"""Words that statements begin with: those that read, that say how many rows they change, that PostgreSQL explains."""

_SECRET = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


@dataclass(frozen=True, repr=False)
class Rows(Shown):
    """The answer to a statement. `count` is how many rows it read or changed; `rows` those that came back.

    Values are text, numbers, booleans, None, and what JSON columns hold; everything else is text as PostgreSQL's
    driver shows it.
    """

    statement: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    count: int
    seconds: float
    more: bool = False
    would: tuple[dict[str, Any], ...] = ()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row by the names of its columns."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def value(self) -> Any:
        """The only value of the answer. Raises EffectFailed if there is none, or if there are others."""
        if len(self.rows) != 1 or len(self.columns) != 1:
            told = f"{len(self.rows)} rows of {len(self.columns)} columns"
            raise EffectFailed(f"{_name(self.statement)}: one value was expected, the answer has {told}")
        return self.rows[0][0]

    def headline(self) -> str:
        more = " and more" if self.more else ""
        return f"{_name(self.statement)}: {self.count} rows{more} in {self.seconds * 1000:.0f} ms"

    def table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        return self.columns, [*self.rows[:_SHOWN]]

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        return super().of({**recorded, "rows": [tuple(row) for row in recorded["rows"]]})


def sql(
    statement: str,
    values: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    database: str | None = None,
    password: Secret | None = None,
    rows: int | None = None,
    changes: bool = False,
    timeout: float = 30.0,
    idempotent: bool = False,
    pretend: Any = None,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> Rows:
    """Run one statement in PostgreSQL, in a transaction that may only read; with `changes=True` it is committed.

        sql("select id, state from orders where customer = %(who)s", {"who": customer})

    `values` stand for `%(name)s`, or `%s` in their order; they are bound by the server, so no value is ever read as
    SQL. `database` is an address, `postgresql://user@host:port/name`, without a password; None takes `database` of
    the environment's `urls:`. One of libpq's words works, too: `host=FOLDER user=… dbname=…` is a Unix socket, in a
    folder relative to the project. `rows` is how many rows a change must meet: if it meets others, nothing is changed.
    `timeout` is in seconds. Raises EffectFailed if the statement fails, which then has changed nothing, TypeError for a
    password in the address, and ValueError for a statement that does not read and is not said to change. If the
    connection is lost while a change is committed, its outcome is unknown.
    A check runs what reads; of a change it has PostgreSQL explain it, and returns `pretend`.
    """
    word = _first_word(statement)
    if not changes and word not in _READS:
        raise ValueError(f"sql(): {word.upper()} is no statement that reads; say changes=True if it shall change")
    address = here.url("database") if database is None else database
    _refuse_secrets(address)
    request = {"statement": statement, "values": values, "database": address, "password": password, "rows": rows}

    def work(call: EffectCall) -> tuple[Rows, Any]:
        # What COPY has a program do stays done, and so does what a function does beside the database.
        untouched = changes and word not in _READS | {"copy", "call", "do"}
        with _connected(call, address, password, timeout, untouched=untouched) as connection:
            does = _explained if call.check else _changed if changes else _read
            done = does(connection, request, timeout)
        return done, {**done.to_json(), "changed": changes and not (word in _COUNTED and done.count == 0)}

    rules = {"idempotent": idempotent, "key": key, "pretend": pretend, "ignore": ignore}
    rules |= {"decode": Rows.of, "gentle": True}
    return perform("sql", request, f"sql {_name(statement)}", work, changes=changes, **rules)


def _first_word(statement: str) -> str:
    """The word that a statement begins with, in lower case, after its comments. Raises ValueError for a NUL."""
    if "\0" in statement:
        raise ValueError("sql(): a statement with a NUL would be cut off there")
    rest = statement.lstrip()
    while rest.startswith(("--", "/*")):
        rest = rest.partition("\n" if rest.startswith("--") else "*/")[2].lstrip()
    found = re.match(r"[\s(]*([A-Za-z]*)", rest)
    return found[1].lower() if found else ""


def _name(statement: str) -> str:
    """What people read of a statement: the comment that it begins with, or its words on one line."""
    first, _, rest = statement.strip().partition("\n")
    named = first.removeprefix("--").strip() if first.startswith("--") and rest else ""
    return one_line(named or statement, _LONGEST)


def _refuse_secrets(address: str) -> None:
    try:
        from psycopg import Error, conninfo
    except ImportError:
        # Nothing is connected, and nobody is told more than the page says.
        return
    try:
        named = conninfo.conninfo_to_dict(address)
    except Error:
        named = None
    if named is None:
        raise ValueError("the address of the database is none that PostgreSQL takes: postgresql://user@host:5432/name")
    if found := [name for name in _SECRET if named.get(name)]:
        raise TypeError(f"{found[0]} never goes into an address, which is recorded; pass it by password=secret(…)")


@contextmanager
def _connected(
    call: EffectCall, address: str, password: Secret | None, timeout: float, *, untouched: bool
) -> "Iterator[psycopg.Connection[Any]]":
    """A connection that ends without a commit, unless its block makes one.

    Errors of PostgreSQL become EffectFailed, `untouched` if nothing can be left of what failed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise EffectFailed("sql() needs psycopg: pip install 'opsbook[sql]'", untouched=True) from error
    deadline = time.monotonic() + min(timeout, _LONGEST_WAIT) + _PATIENCE

    class Connection(psycopg.Connection[Any]):
        """One that waits no longer than the effect may take: the server's own limit does not hold if it hangs."""

        def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
            return super().wait(_while(gen, lambda: _check(call, deadline)), 0.1)

    secret = password.reveal() if password is not None else None
    connection = None
    try:
        wait = max(2, int(min(timeout, 10)))
        more: dict[str, Any] = {"connect_timeout": wait, "application_name": "opsbook", "password": secret}
        hosts = str(psycopg.conninfo.conninfo_to_dict(address).get("host", "")).split(",")
        if any("/" in each for each in hosts):
            more["host"] = ",".join(str(Path(each).resolve()) if "/" in each else each for each in hosts)
        connection = Connection.connect(address, **more)
        yield connection
    except (psycopg.Error, TimeoutError) as error:
        said = str(error).strip() or type(error).__name__
        raise EffectFailed(f"PostgreSQL: {said}", untouched=untouched or connection is None) from error
    finally:
        if connection is not None:
            connection.close()


def _while(gen: Any, check: Callable[[], None]) -> Any:
    """The steps of psycopg's work, with a look at the clock between two of them."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            check()
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value


def _check(call: EffectCall, deadline: float) -> None:
    if call.cancelled.is_set():
        raise Interrupted("the statement was cancelled")
    if time.monotonic() > deadline:
        raise TimeoutError("it does not answer in time")


def _read(connection: "psycopg.Connection[Any]", request: dict[str, Any], timeout: float) -> Rows:
    connection.read_only = True
    started = time.monotonic()
    cursor = _begun(connection, timeout)
    # Row by row: of a large table, only what is kept is fetched. It also refuses a second statement.
    kept, more = _kept(cursor.stream(request["statement"], revealed(request["values"])))
    return Rows(request["statement"], _columns(cursor), kept, len(kept), time.monotonic() - started, more)


def _changed(connection: "psycopg.Connection[Any]", request: dict[str, Any], timeout: float) -> Rows:
    import psycopg

    started = time.monotonic()
    cursor = _begun(connection, timeout)
    cursor.execute(request["statement"], revealed(request["values"]), prepare=True)
    count, wanted = max(cursor.rowcount, 0), request["rows"]
    if wanted is not None and count != wanted:
        raise EffectFailed(
            f"{_name(request['statement'])}: it would change {count} rows, and {wanted} were expected; "
            "nothing was changed",
            untouched=True,
        )
    rows, more = _kept(cursor) if cursor.description else ((), False)
    columns = _columns(cursor)
    try:
        connection.commit()
    except (psycopg.OperationalError, TimeoutError) as error:
        if isinstance(error, TimeoutError) or connection.broken:
            raise Interrupted(f"the connection was lost during the commit: {error}") from error
        raise
    return Rows(request["statement"], columns, rows, count, time.monotonic() - started, more)


def _explained(connection: "psycopg.Connection[Any]", request: dict[str, Any], timeout: float) -> Rows:
    """What a change would do, by PostgreSQL's planner. It also finds what is misspelt, missing or not allowed."""
    connection.read_only = True
    started = time.monotonic()
    statement, found = request["statement"], {"state": "unknown", "diff": ""}
    if _first_word(statement) in _EXPLAINED:
        cursor = _begun(connection, timeout)
        cursor.execute(f"explain (format json) {statement}", revealed(request["values"]), prepare=True)
        told = cursor.fetchone()
        plan = (told[0] if told and isinstance(told[0], list) else json.loads(told[0] if told else "[{}]"))[0]
        top = plan.get("Plan", {})
        estimate = (top.get("Plans") or [top])[0].get("Plan Rows", "?")
        found = {"state": "changed", "diff": f"about {estimate} rows, by PostgreSQL's estimate"}
    info = connection.info
    would = {"host": f"{info.dbname}@{info.host}", "task": f"sql {_name(statement)}", **found}
    return Rows(statement, (), (), 0, time.monotonic() - started, would=(would,))


def _begun(connection: "psycopg.Connection[Any]", timeout: float) -> "psycopg.Cursor[Any]":
    cursor = connection.cursor()
    cursor.execute(
        "select set_config('statement_timeout', %s, true)", [f"{max(1, int(min(timeout, _LONGEST_WAIT) * 1000))}ms"]
    )
    return cursor


def _columns(cursor: "psycopg.Cursor[Any]") -> tuple[str, ...]:
    return tuple(column.name for column in cursor.description or ())


def _kept(rows: Iterable[Sequence[Any]]) -> tuple[tuple[tuple[Any, ...], ...], bool]:
    """The first rows, as JSON has them, and whether there are more. Raises EffectFailed if one alone is too large."""
    kept: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        plain = tuple(_plain(value) for value in row)
        size += sum(len(value) if isinstance(value, str) else len(repr(value)) for value in plain)
        if not kept and size > _BYTES:
            raise EffectFailed(f"a row of the answer has {size} characters; select less of it", untouched=True)
        if len(kept) == LIMIT or size > _BYTES:
            return tuple(kept), True
        kept.append(plain)
    return tuple(kept), False


def _plain(value: Any) -> Any:
    """A value of a column as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and math.isfinite(value):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
