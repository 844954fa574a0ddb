"""sql() against a real PostgreSQL: reads that cannot write, changes that meet what was said, values that are text."""

import importlib.util
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support import ROOT
from tests.support.project import Project

pytestmark = pytest.mark.slow

HOSTILE = "x'); drop table orders; --"
POLICY = """\
title: Development
sandbox: true
urls:
  database: postgresql://postgres@127.0.0.1:{port}/postgres
secrets:
  database: file:{password}
"""
PAGE = """
## Parameters
```python tags=["parameters"]
who: str  # The customer
```

## Steps

### Change and read
```python timeout=300
from opsbook import EffectFailed, secret, sql

password = secret("database")

def tell(statement, values=None, **more):
    try:
        found = sql(statement, values, password=password, pretend="SIMULATED", **more)
        print(*(["TOLD", found.count, [*found]] if found != "SIMULATED" else [found]))
    except (EffectFailed, ValueError, TypeError) as error:
        print("FAILED", error)

columns = "id serial primary key, customer text, paid numeric, at timestamptz, more jsonb"
tell(f"create table orders ({columns})", changes=True)
tell("insert into orders (customer, paid, at, more) values (%(who)s, 1.10, '2026-11-20 10:00+00', '[1]')",
     {"who": who}, changes=True)
tell("insert into orders (customer) values (%s), (%s)", ["ann", "100%"], changes=True)
tell("select customer, paid, at, more from orders where customer = %(who)s", {"who": who})
tell("select count(*) from orders where customer = '100%'")
tell("update orders set paid = 0", rows=1, changes=True)
tell("update orders set paid = 2 where customer = 'ann' returning id", rows=1, changes=True)
tell("with gone as (delete from orders returning 1) select * from gone")
tell("select 1; commit; delete from orders")
tell("insert into orders (customer) values ('a'); commit; insert into orders (customer) values ('b')", changes=True)
tell("select pg_sleep(30)", timeout=0.5)
tell("selekt")
tell("copy (select 1) to program 'touch /tmp/pwned-by-copy'")
tell("delete from orders\\0 where id = 1", changes=True)
tell("/* a */ " * 40 + "-- b\\n select 1 as one")
for place in ("postgresql://u:x#y@h/d", "postgresql://h/d?pass%77ord=x", "host='h'password=x", "host=h sslpassword=x"):
    tell("select 1", database=place)
found = sql("select n from generate_series(1, 20000) n", password=password)
print("MANY", len(found), found.more, sql("select sum(paid) from orders", password=password).value)
```
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("arcade_postgres", ROOT / "services/arcade/tests/arcade_postgres.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.PostgresServer()
    try:
        found.create()
        yield found
    finally:
        found.remove()


def test_statements_read_change_and_are_explained(project: Project, server: Any) -> None:
    _connected(project, server)
    project.page(PAGE)
    told = _run(project)
    at, one = "2026-11-20T10:00:00+00:00", "'paid': '1.10'"
    assert told == [
        "TOLD 0 []",
        "TOLD 1 []",
        "TOLD 2 []",
        f"TOLD 1 [{{'customer': {HOSTILE!r}, {one}, 'at': '{at}', 'more': [1]}}]",
        "TOLD 1 [{'count': 1}]",
        "FAILED update orders set paid = 0: it would change 3 rows, and 1 were expected; nothing was changed",
        "TOLD 1 [{'id': 2}]",
        "FAILED PostgreSQL: cannot execute SELECT in a read-only transaction",
        "FAILED PostgreSQL: cannot insert multiple commands into a prepared statement",
        "FAILED PostgreSQL: cannot insert multiple commands into a prepared statement",
        "FAILED PostgreSQL: canceling statement due to statement timeout",
        "FAILED sql(): SELEKT is no statement that reads; say changes=True if it shall change",
        "FAILED sql(): COPY is no statement that reads; say changes=True if it shall change",
        "FAILED sql(): a statement with a NUL would be cut off there",
        "TOLD 1 [{'one': 1}]",
        *["FAILED ADDRESS"] * 4,
        "MANY 10000 True 3.10",
    ]
    record = project.records()[-1]
    assert all(server.password not in path.read_text(errors="replace") for path in record.rglob("*") if path.is_file())
    checked = project.opsbook("run", "page", "-e", "dev", "--check", "-p", f"who={HOSTILE}")
    # A line that begins like one of IPython's magics is Python.
    assert "No variables match" not in checked.out
    for line in ("sql update orders set paid = 0: postgres@127.0.0.1", "about 3 rows, by PostgreSQL's estimate"):
        assert line in checked.out, checked.out
    project.opsbook("records", "export", project.records()[0].name, "--recording", "good", check=True)
    server.stop()
    try:
        replayed = project.opsbook("test")
        assert "1 recording replayed" in replayed.out, replayed.out
        assert replayed.code == 0
        assert _run(project)[0].startswith("FAILED PostgreSQL: connection")
    finally:
        server.start()


def test_the_page_that_ends_long_queries(project: Project, server: Any) -> None:
    _connected(project, server)
    project.write("runbooks/end-long-queries.md", (ROOT / "docs/examples/end-long-queries.md").read_text())
    assert project.opsbook("check").code == 0
    address = f"{server.address('postgres')} application_name=reports"
    with psycopg.connect(address, password=server.password) as connection, ThreadPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(connection.execute, "select pg_sleep(300)")
        time.sleep(1.2)
        values = ("-p", "application=reports", "-p", "longer_than=1s")
        checked = project.opsbook("run", "end-long-queries", "-e", "dev", "--check", *values)
        assert "select pg_sleep(300)" in checked.out
        assert not running.done()
        done = project.opsbook("run", "end-long-queries", "-e", "dev", "--yes", *values)
        assert "1 queries ended" in done.out, done.out
        assert done.code == 0
        with pytest.raises(psycopg.errors.AdminShutdown):
            running.result(timeout=60)


def _connected(project: Project, server: Any) -> None:
    password = project.root.parent / "password"
    password.write_text(server.password)
    password.chmod(0o600)
    project.write("playbooks/inventories/dev/environment.yml", POLICY.format(port=server.port, password=password))


def _run(project: Project) -> list[str]:
    done = project.opsbook("run", "page", "-e", "dev", "--yes", "-p", f"who={HOSTILE}")
    lines = [line.strip(" |") for line in done.out.splitlines()]
    lines = ["FAILED ADDRESS" if "address" in line and "FAILED" in line else line for line in lines]
    return [
        line
        for line in lines
        if line.startswith(("TOLD", "FAILED PostgreSQL", "FAILED update", "FAILED sql()", "MANY", "FAILED ADDRESS"))
    ]
