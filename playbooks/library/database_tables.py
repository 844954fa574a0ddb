#!/usr/bin/python
"""Ansible module: whether the tables of a database are those that the migrations of a release make."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from pathlib import Path

import psycopg
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.scratch_database import scratch_database

DOCUMENTATION = """
module: database_tables
short_description: Compare the schema of a database with what the migrations of a release make
description:
  - Applies the migrations of the unpacked release to an empty scratch database on the same server, and compares the two
    schemas as C(pg_dump) writes them (tables, columns, indexes, constraints, views, functions; not who owns them and
    who may use them, and not the order of columns). That other database is removed again, also in check mode.
  - Repairs nothing. In check mode it reports what differs as a change that somebody has to make; otherwise it fails
    with it.
options:
  python: {description: The interpreter that has what the service needs., type: path, required: true}
  service: {description: The service's package., type: str, required: true}
  release: {description: The folder of the unpacked release., type: path, required: true}
  bin_folder: {description: The folder of the PostgreSQL programs., type: path, required: true}
  conninfo: {description: How the administrator finds the database., type: str, required: true}
  database: {description: The database; the scratch one has _restored behind its name., type: str, required: true}
"""

EXAMPLES = """
- name: Compare the tables
  database_tables:
    python: /srv/python/bin/python
    service: arcade
    release: /srv/env/app/arcade-1/releases/1.2.0
    bin_folder: /usr/lib/postgresql/18/bin
    conninfo: host=/srv/env/run port=5432 dbname=arcade user=postgres
    database: arcade
"""

RETURN = """
statements: {description: How many statements the schema is., returned: always, type: int}
"""

NOISE = re.compile(r"--|\\|SET |SELECT pg_catalog\.set_config")


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def run(module: AnsibleModule, *command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        command, env=plain() | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        module.fail_json(msg=f"{Path(command[0]).name} fails: {done.stderr.strip()}")
    return done.stdout


def schema(module: AnsibleModule, place: str) -> list[str]:
    """Answer the statements that make a database, in an order of their own: a column is where it is by its history."""
    program = Path(module.params["bin_folder"], "pg_dump")
    text = run(module, program, "--no-password", "--schema-only", "--no-owner", "--no-privileges", place)
    lines = [line for line in text.splitlines() if not NOISE.match(line)]
    return sorted(filter(None, (ordered(each.strip()) for each in re.split(r";\n", "\n".join(lines)))))


def ordered(statement: str) -> str:
    """Answer a statement with the columns of a table sorted."""
    if not statement.startswith("CREATE TABLE"):
        return f"{statement};" if statement else ""
    first, *inner, last = statement.splitlines()
    return "\n".join([first, *sorted(line.rstrip(",") for line in inner), f"{last};"])


def wanted(module: AnsibleModule, place: str) -> list[str]:
    release, service = module.params["release"], module.params["service"]
    said = {"PYTHONPATH": release, "PYTHONDONTWRITEBYTECODE": "1", f"{service.upper()}_DATABASE": place}
    run(module, module.params["python"], "-m", service, "migrate", **said)
    return schema(module, place)


def lines(statements: list[str]) -> list[str]:
    return [f"{line}\n" for each in statements for line in [*each.splitlines(), ""]]


def main() -> None:
    texts, paths = ("service", "conninfo", "database"), ("python", "release", "bin_folder")
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "str", "required": True} for name in texts},
            **{name: {"type": "path", "required": True} for name in paths},
        },
        supports_check_mode=True,
    )
    conninfo, name = module.params["conninfo"], module.params["database"]
    if not Path(module.params["release"]).exists():
        module.exit_json(skipped=True, msg="the release is not unpacked: nobody can say which tables it wants")
    try:
        with scratch_database(conninfo, name) as place:
            want = wanted(module, place)
        have = schema(module, conninfo)
    except psycopg.Error as error:
        if module.check_mode:
            module.exit_json(skipped=True, msg=f"the database does not answer, so nothing was compared: {error}")
        module.fail_json(msg=f"the database does not answer: {error}")
    if have != want and not module.check_mode:
        differ = difflib.unified_diff(lines(have), lines(want), "", "", n=0)
        said = [line.rstrip() for line in differ if re.match(r"[-+][^-+\n]", line)]
        module.fail_json(msg=f"the tables are not those of the release: {' '.join(said)}")
    diff = {"before": "".join(lines(have)), "after": "".join(lines(want))}
    module.exit_json(changed=have != want, statements=len(want), diff=diff)


if __name__ == "__main__":
    main()
