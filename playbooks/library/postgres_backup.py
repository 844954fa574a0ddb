#!/usr/bin/python
"""Ansible module: a backup of one database, with what has to be known to bring it back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from ansible.module_utils.backups import Files, digest, listed, rows
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: postgres_backup
short_description: Back a database up, once under each name
description:
  - Writes C(NAME.dump), in the custom format of C(pg_dump), and C(NAME.json) with its SHA-256, the number of rows of
    each table, the schema version and O(state). The rows are counted in the snapshot that is dumped, so that they are
    exactly those in the dump, whatever is written meanwhile.
  - A backup of that name that is there is verified, never replaced.
  - Both files are for their owner only. Role and password are in no argument.
options:
  bin_folder: {description: The folder of the PostgreSQL programs., type: path, required: true}
  conninfo: {description: How the service finds the database; a service of libpq., type: str, required: true}
  service_file: {description: The service file with role and password., type: path, required: true}
  migrations: {description: The table whose column version says which schema this is., type: str, required: true}
  folder: {description: The folder of the backups., type: path, required: true}
  name: {description: The name of this one., type: str, required: true}
  state: {description: What else belongs to it., type: dict, default: {}}
"""

EXAMPLES = """
- name: Back the database up
  postgres_backup:
    bin_folder: /usr/lib/postgresql/18/bin
    conninfo: service=arcade host=/srv/env/run port=5432 dbname=arcade
    service_file: /srv/env/secrets/database.conf
    migrations: arcade_migrations
    folder: /srv/backups/dev
    name: 20261130T070000Z-rebuild-environment-ab12
"""

RETURN = """
file: {description: The dump., returned: always, type: str}
sha256: {description: Its digest., returned: when it is there, type: str}
rows: {description: The number of rows of each table., returned: always, type: dict}
"""


def schema(connection: psycopg.Connection[Any], table: str) -> int:
    """Answer the version of the schema; 0 before the first migration."""
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    if not found or not found[0]:
        return 0
    query = psycopg.sql.SQL("SELECT coalesce(max(version), 0) FROM {}").format(psycopg.sql.Identifier(table))
    return int((connection.execute(query).fetchone() or (0,))[0])


def look(module: AnsibleModule, connection: psycopg.Connection[Any]) -> dict[str, Any]:
    return {"rows": rows(connection), "schema": schema(connection, module.params["migrations"])}


def dump(module: AnsibleModule, connection: psycopg.Connection[Any], files: Files) -> dict[str, Any]:
    files.dump.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = files.dump.with_name(f".{files.dump.name}.new")
    scratch.unlink(missing_ok=True)
    os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    found = look(module, connection)
    program = Path(module.params["bin_folder"], "pg_dump")
    arguments = ["--format=custom", f"--snapshot={snapshot}", f"--file={scratch}", module.params["conninfo"]]
    done = subprocess.run(
        [program, "--no-password", *arguments],
        env=os.environ | {"PGSERVICEFILE": module.params["service_file"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        scratch.unlink(missing_ok=True)
        module.fail_json(msg=f"pg_dump fails: {done.stderr.strip()}")
    with scratch.open("rb") as written:
        os.fsync(written.fileno())
    scratch.replace(files.dump)
    return found | {"file": files.dump.name, "sha256": digest(files.dump), "state": module.params["state"]}


def main() -> None:
    texts, paths = ("conninfo", "migrations", "name"), ("bin_folder", "service_file", "folder")
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "str", "required": True} for name in texts},
            **{name: {"type": "path", "required": True} for name in paths},
            "state": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    files = Files(module.params["folder"], module.params["name"])
    try:
        said = files.whole()
    except (OSError, ValueError, LookupError) as error:
        module.fail_json(msg=str(error))
    if said is not None:
        module.exit_json(changed=False, file=str(files.dump), sha256=said["sha256"], rows=said["rows"])
    os.environ["PGSERVICEFILE"] = module.params["service_file"]
    try:
        with psycopg.connect(module.params["conninfo"], connect_timeout=10) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            said = look(module, connection) if module.check_mode else dump(module, connection, files)
    except psycopg.Error as error:
        if module.check_mode:
            module.exit_json(skipped=True, msg=f"what would be backed up cannot be said in check mode: {error}")
        module.fail_json(msg=f"the database does not answer: {error}")
    if not module.check_mode:
        files.write(said)
    after = f"{files.dump}\n{listed(said['rows'])}"
    known = {} if module.check_mode else {"sha256": said["sha256"]}
    module.exit_json(
        changed=True, file=str(files.dump), rows=said["rows"], diff={"before": "", "after": after}, **known
    )


if __name__ == "__main__":
    main()
