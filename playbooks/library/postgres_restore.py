#!/usr/bin/python
"""Ansible module: bring a backup back, into a scratch database to prove it or into the database itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from ansible.module_utils.backups import Files, listed, rows
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.scratch_database import scratch_database

DOCUMENTATION = """
module: postgres_restore
short_description: Restore a backup that postgres_backup made, and count its rows
description:
  - C(proven) restores it into a database of its own on the same server, compares the number of rows of each table with
    that of the backup, removes that database again, and writes into the manifest that this backup was restored. One
    that was restored already is not restored again.
  - C(restored) restores it into the database itself, in one transaction, and compares likewise. The database must be
    empty; one that has just these rows is left as it is.
  - Fails if the dump is not the one of its manifest, or a table has another number of rows.
options:
  bin_folder: {description: The folder of the PostgreSQL programs., type: path, required: true}
  conninfo: {description: How the administrator finds the database., type: str, required: true}
  database: {description: The database; the scratch one has _restored behind its name., type: str, required: true}
  folder: {description: The folder of the backups., type: path, required: true}
  name: {description: The name of the backup., type: str, required: true}
  state: {description: What to reach., choices: [proven, restored], required: true, type: str}
  run: {description: The run that does it., type: str, default: ""}
"""

EXAMPLES = """
- name: Prove that the backup can be restored
  postgres_restore:
    bin_folder: /usr/lib/postgresql/18/bin
    conninfo: host=/srv/env/run port=5432 dbname=arcade user=postgres
    database: arcade
    folder: /srv/backups/dev
    name: 20261130T070000Z-rebuild-environment-ab12
    state: proven
"""

RETURN = """
rows: {description: The number of rows of each table of the backup., returned: always, type: dict}
"""


class Restore:
    """One backup, and the database that it comes back to."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.files = Files(module.params["folder"], module.params["name"])
        self.conninfo, self.database = module.params["conninfo"], module.params["database"]

    def manifest(self) -> dict[str, Any]:
        try:
            said = self.files.whole()
        except (OSError, ValueError, LookupError) as error:
            self.module.fail_json(msg=str(error))
        if said is None and self.module.check_mode:
            # It may be one that is only simulated.
            self.unknown(f"there is no backup {self.files.manifest}")
        if said is None:
            self.module.fail_json(msg=f"there is no backup {self.files.manifest}")
        return said

    def unknown(self, reason: str) -> None:
        self.module.exit_json(skipped=True, msg=f"{reason}: what would be restored cannot be said in check mode")

    def prove(self, said: dict[str, Any]) -> bool:
        if said.get("restored"):
            return False
        if not self.module.check_mode:
            with scratch_database(self.conninfo, self.database) as place:
                self._fill(place)
                self._compare(place, said["rows"])
            self.files.write(said | {"restored": {"run": self.module.params["run"], "rows": said["rows"]}})
        return True

    def restore(self, said: dict[str, Any]) -> bool:
        with psycopg.connect(self.conninfo, connect_timeout=10) as connection:
            found = rows(connection)
        if found == said["rows"]:
            return False
        if found and self.module.check_mode:
            # The steps that empty it are only simulated.
            self.unknown(f"{self.database} is not empty")
        if found:
            self.module.fail_json(msg=f"{self.database} is not empty: nothing was restored. {listed(found)}")
        if not self.module.check_mode:
            self._fill(self.conninfo)
            self._compare(self.conninfo, said["rows"])
        return True

    def _fill(self, place: str) -> None:
        program = Path(self.module.params["bin_folder"], "pg_restore")
        done = subprocess.run(
            [program, "--no-password", "--exit-on-error", "--single-transaction", f"--dbname={place}", self.files.dump],
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            self.module.fail_json(msg=f"pg_restore fails: {done.stderr.strip()}")

    def _compare(self, place: str, wanted: dict[str, int]) -> None:
        with psycopg.connect(place, connect_timeout=10) as connection:
            found = rows(connection)
        wrong = [
            f"{table} has {found.get(table, 'no')} rows, not {wanted.get(table, 'any')}"
            for table in sorted({*found, *wanted})
            if found.get(table) != wanted.get(table)
        ]
        if wrong:
            self.module.fail_json(msg=f"the backup is not whole: {'; '.join(wrong)}")


def main() -> None:
    texts, paths = ("conninfo", "database", "name"), ("bin_folder", "folder")
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "str", "required": True} for name in texts},
            **{name: {"type": "path", "required": True} for name in paths},
            "state": {"choices": ["proven", "restored"], "required": True},
            "run": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    work = Restore(module)
    said = work.manifest()
    try:
        changed = work.prove(said) if module.params["state"] == "proven" else work.restore(said)
    except psycopg.Error as error:
        if module.check_mode:
            work.unknown(f"the database does not answer ({error})")
        module.fail_json(msg=f"the database does not do it: {error}")
    after = f"{module.params['state']} {work.files.dump}\n{listed(said['rows'])}" if changed else ""
    module.exit_json(changed=changed, rows=said["rows"], diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
