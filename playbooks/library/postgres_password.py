#!/usr/bin/python
"""Ansible module: the password of the database's owner."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import psycopg
from ansible.module_utils.basic import AnsibleModule
from psycopg import sql

DOCUMENTATION = """
module: postgres_password
short_description: Give the database's owner a new password
description:
  - Makes a password, sets it, writes it to the file the service reads, and ends every connection that was
    opened with an earlier one. The password is in no argument, log or result, and not even the server sees it.
  - The new password is on the disk before it counts, so that one that was interrupted half-way is found again.
options:
  conninfo: {description: How the owner finds the database., type: str, required: true}
  password_file: {description: The file with the password., type: path, required: true}
  leaked:
    description: A file with a password that became known. Only if it is the present one, a new one is made.
    type: path
"""

EXAMPLES = """
- name: Give the database a new password
  postgres_password:
    conninfo: host=/srv/env/run port=5432 dbname=arcade user=arcade
    password_file: /srv/env/secrets/db_password
"""

RETURN = """
ended: {description: How many connections were ended., returned: always, type: int}
"""


class Password:
    """The present password, and the one that is to follow it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.conninfo = module.params["conninfo"]
        self.file = Path(module.params["password_file"])
        self.next = self.file.with_name(f"{self.file.name}.new")

    def working(self) -> Path:
        """Answer the file whose password opens the database: the next one, if an earlier change was cut short."""
        refusal = f"{self.file} is missing"
        for file in (self.file, self.next):
            if not file.exists():
                continue
            try:
                psycopg.connect(self.conninfo, password=file.read_text(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                refusal = str(error).strip()
            else:
                return file
        return self.module.fail_json(msg=f"no password that is known here opens the database: {refusal}")

    def renew(self, present: str) -> int:
        password = secrets.token_urlsafe(32)
        self.next.unlink(missing_ok=True)
        descriptor = os.open(self.next, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
            file.flush()
            os.fsync(file.fileno())
        with psycopg.connect(self.conninfo, password=present, autocommit=True) as connection:
            user = connection.info.user
            # A server may log statements: it gets the verifier, from which the password cannot be told.
            verifier = connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier))
            connection.execute(statement)
            self.next.replace(self.file)
            return self._end_others(connection)

    @staticmethod
    def _end_others(connection: psycopg.Connection) -> int:
        """The service connects again with what the file says by now; nobody else can."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        return connection.execute(f"{others} WHERE usename = current_user AND pid <> pg_backend_pid()").rowcount


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "conninfo": {"type": "str", "required": True},
            # no_log would be wrong: these are the names of files, and a password is never a parameter.
            "password_file": {"type": "path", "required": True, "no_log": False},
            "leaked": {"type": "path", "no_log": False},
        },
        supports_check_mode=True,
    )
    password = Password(module)
    wanted = module.params["leaked"] is None
    if module.check_mode and not password.file.exists():
        # The database that it opens may be one that is only simulated.
        module.exit_json(changed=wanted, ended=0, diff={"before": "", "after": "a new password\n" if wanted else ""})
    working = password.working()
    half_way = working == password.next
    if half_way and not module.check_mode:
        working.replace(password.file)
    present = (working if module.check_mode else password.file).read_text()
    if not wanted:
        leaked = Path(module.params["leaked"])
        wanted = leaked.exists() and leaked.read_text().strip() == present
    ended = password.renew(present) if wanted and not module.check_mode else 0
    changed = wanted or half_way
    difference = {"before": "", "after": "another password\n" if changed else ""}
    module.exit_json(changed=changed, ended=ended, diff=difference)


if __name__ == "__main__":
    main()
