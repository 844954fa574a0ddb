#!/usr/bin/python
"""Ansible module: the role with which the service opens its database, and the one that takes turns with it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import NoReturn

import psycopg
from ansible.module_utils import credentials
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.credentials import Credentials
from psycopg import sql

DOCUMENTATION = """
module: postgres_credential
short_description: Rotate the database's password by two roles that take turns
description:
  - The database belongs to a role that cannot log in. Two others, which act as it, take turns. PostgreSQL knows one
    password of a role only, so a new password for the role in use would shut out whoever connects in that moment.
  - C(prepare) gives the idle role a new password and logs in with it. C(switch) replaces the file that the service
    reads. C(lock) waits until nobody uses the earlier role, and takes its password and its login away. C(back)
    returns to the earlier role, as long as that is not locked, and locks the other one.
  - Each is repeatable. Passwords are in no argument, log or result, and not even the server sees them.
  - In check mode it only looks. What depends on a step before that was only simulated is skipped.
options:
  step: {description: One of prepare, switch, lock and back., type: str, required: true}
  conninfo: {description: How the administrator finds the database., type: str, required: true}
  owner: {description: The role that the database belongs to., type: str, required: true}
  credentials_file: {description: The file the service reads; others stand beside it., type: path, required: true}
  cut:
    description: End the sessions of the earlier role at once, because its password is known to others.
    type: bool
    default: false
  patience: {description: Seconds to wait until nobody uses a role any more., type: int, default: 30}
  leaked:
    description: A copy of credentials that became known. Only if they are the present ones, anything is done.
    type: path
"""

EXAMPLES = """
- name: Give the idle role a new password
  postgres_credential:
    step: prepare
    conninfo: host=/srv/env/run port=5432 dbname=arcade user=postgres
    owner: arcade
    credentials_file: /srv/env/secrets/database.conf
"""

RETURN = """
role: {description: The role that the service is to use., returned: always, type: str}
ended: {description: How many connections were ended., returned: always, type: int}
"""


class Rotation:
    """The present credentials, the ones to come, and the earlier ones while their role may still log in."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.check = module.check_mode
        self.owner, self.conninfo = module.params["owner"], module.params["conninfo"]
        self.file = Path(module.params["credentials_file"])
        self.next, self.earlier = (self.file.with_name(f"{self.file.name}.{end}") for end in ("next", "earlier"))
        self.ended = 0

    # -- the steps: each says whether it changed something

    def prepare(self) -> bool:
        if self.check and not self.file.exists():
            # The database may be one that is only simulated.
            return self.module.params["leaked"] is None
        if not self.wanted():
            return False
        present, cut = self.present(), False
        if self.switched():
            if not self.module.params["cut"]:
                self.fail(
                    f"an earlier rotation is half way: {present.role} is in use and {self.of(self.earlier).role} is not"
                    f" locked. Resume that run or roll it back; tags lock of password.yml, or password-back.yml"
                )
            cut = self.lock()
        follower = credentials.read(self.next)
        if follower and follower.role != present.role and self.opens(follower):
            return cut
        if not self.check:
            self.give(Credentials(present.service, self.idle(present.role), secrets.token_urlsafe(32)))
        return True

    def switch(self) -> bool:
        if not self.next.exists():
            if self.switched() or self.module.params["leaked"]:
                return False
            if self.check:
                self.unknown("nothing is prepared yet")
            self.fail("nothing is prepared: run the step prepare first")
        follower = self.of(self.next)
        if refusal := self.refusal(follower):
            self.fail(f"{follower.role} does not open the database, so the service keeps its role: {refusal}")
        if not self.check:
            credentials.write(self.earlier, self.present())
            credentials.move(self.next, self.file)
        return True

    def lock(self) -> bool:
        if not self.switched():
            if self.check and not self.module.params["leaked"]:
                self.unknown("the service has not switched yet")
            self.remove(self.earlier)
            return False
        role = self.of(self.earlier).role
        if not self.check:
            with self.administrator() as connection:
                self.lock_out(connection, role)
            self.remove(self.earlier)
            # That of an environment from before there were two roles.
            self.remove(self.file.with_name("db_password"))
        return True

    def back(self) -> bool:
        if self.switched():
            before = self.of(self.earlier)
            if refusal := self.refusal(before):
                self.fail(f"there is no way back, {before.role} does not open the database: {refusal}")
            if not self.check:
                credentials.write(self.next, self.present())
                credentials.move(self.earlier, self.file)
        elif not self.next.exists():
            return False
        if not self.check:
            with self.administrator() as connection:
                self.lock_out(connection, self.of(self.next).role)
            self.remove(self.next)
        return True

    # -- files

    def of(self, path: Path) -> Credentials:
        try:
            found = credentials.read(path)
        except (OSError, ValueError) as error:
            self.fail(str(error))
        return found or self.fail(f"{path} is missing: platform-up.yml makes it")

    def present(self) -> Credentials:
        return self.of(self.file)

    def switched(self) -> bool:
        """Whether the service uses another role than before, and the earlier one is not locked yet."""
        return self.earlier.exists() and self.of(self.earlier) != self.present()

    def wanted(self) -> bool:
        if self.module.params["leaked"] is None:
            return True
        leaked = Path(self.module.params["leaked"])
        return leaked.exists() and self.present().password in leaked.read_text(encoding="utf-8", errors="replace")

    def remove(self, path: Path) -> None:
        if not self.check:
            path.unlink(missing_ok=True)

    # -- roles

    def idle(self, role: str) -> str:
        first, second = f"{self.owner}_a", f"{self.owner}_b"
        return second if role == first else first

    def administrator(self) -> psycopg.Connection:
        """The server lets the user in who made the cluster, without a password."""
        try:
            return psycopg.connect(self.conninfo, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            self.fail(f"the administrator cannot log in: {first_line(error)}. platform-up.yml lets them in")

    def give(self, follower: Credentials) -> None:
        # On the disk before it counts: a rotation that was cut short is found again.
        credentials.write(self.next, follower)
        with self.administrator() as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [follower.role]).fetchone():
                self.alter(connection, "CREATE ROLE {} IN ROLE {}", follower.role, self.owner)
            self.alter(connection, "ALTER ROLE {} SET role TO {}", follower.role, self.owner)
            # A server may log statements: it gets the verifier, from which the password cannot be told.
            secret, name = follower.password.encode(), follower.role.encode()
            verifier = connection.pgconn.encrypt_password(secret, name, b"scram-sha-256").decode()
            statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(follower.role), sql.Literal(verifier)))
        if refusal := self.refusal(follower):
            self.fail(f"{follower.role} does not open the database with its new password: {refusal}")

    @staticmethod
    def alter(connection: psycopg.Connection, statement: str, *names: str) -> None:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def opens(self, found: Credentials) -> bool:
        return not self.refusal(found)

    def refusal(self, found: Credentials) -> str:
        """Why these do not open the database and act as its owner; empty if they do."""
        try:
            with psycopg.connect(
                self.conninfo, user=found.role, password=found.password, connect_timeout=5
            ) as connection:
                acts = connection.execute("SELECT current_user").fetchone()
        except psycopg.OperationalError as error:
            return first_line(error)
        return "" if acts == (self.owner,) else f"it does not act as {self.owner}"

    def lock_out(self, connection: psycopg.Connection, role: str) -> None:
        """Take login and password away; in a plain rotation only once nobody uses the role."""
        deadline = time.monotonic() + self.module.params["patience"]
        while not self.locked(connection, role):
            if time.monotonic() > deadline:
                self.fail(f"{role} is not locked, because it is in use: {self.using(connection, role)}")
            self.end(connection, role)
            time.sleep(0.2)
        self.alter(connection, "ALTER ROLE {} PASSWORD NULL", role)

    def locked(self, connection: psycopg.Connection, role: str) -> bool:
        cut = self.module.params["cut"]
        if not cut and self.using(connection, role):
            return False
        self.alter(connection, "ALTER ROLE {} NOLOGIN", role)
        if cut:
            self.end(connection, role)
        # Somebody may have come in between.
        if not self.using(connection, role):
            return True
        if not cut:
            self.alter(connection, "ALTER ROLE {} LOGIN", role)
        return False

    def end(self, connection: psycopg.Connection, role: str) -> None:
        """End what nobody uses: its instance has connected anew, or does so when it needs to. To cut off, end all."""
        unused = "state = 'idle' AND state_change < now() - interval '1 second'"
        which = sql.SQL("true" if self.module.params["cut"] else unused)
        ended = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND {}")
        self.ended += connection.execute(ended.format(which), [role]).rowcount

    @staticmethod
    def using(connection: psycopg.Connection, role: str) -> str:
        """Who uses the role: instances, and what else connected."""
        found = "SELECT application_name, state, count(*) FROM pg_stat_activity WHERE usename = %s GROUP BY 1, 2"
        rows = connection.execute(found, [role]).fetchall()
        return ", ".join(f"{name or 'somebody without a name'} ({count} {state})" for name, state, count in rows)

    # -- ends

    def fail(self, message: str) -> NoReturn:
        self.module.fail_json(msg=message)
        raise AssertionError(message)

    def unknown(self, reason: str) -> None:
        self.module.exit_json(skipped=True, msg=f"{reason}: what would be done cannot be said in check mode")


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def main() -> None:
    steps = {"prepare": Rotation.prepare, "switch": Rotation.switch, "lock": Rotation.lock, "back": Rotation.back}
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": list(steps)},
            "conninfo": {"type": "str", "required": True},
            "owner": {"type": "str", "required": True},
            # no_log would be wrong: these are the names of files, and a password is never a parameter.
            "credentials_file": {"type": "path", "required": True, "no_log": False},
            "cut": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 30},
            "leaked": {"type": "path", "no_log": False},
        },
        supports_check_mode=True,
    )
    rotation = Rotation(module)
    step = module.params["step"]
    try:
        changed = steps[step](rotation)
        found = credentials.read(rotation.file)
    except (psycopg.Error, OSError, ValueError) as error:
        module.fail_json(msg=f"{step}: {first_line(error)}")
    after = {"prepare": "a new password", "switch": "another role", "lock": "one role", "back": "the earlier role"}
    difference = {"before": "", "after": f"{after[step]}\n" if changed else ""}
    module.exit_json(changed=changed, ended=rotation.ended, role=found.role if found else "", diff=difference)


if __name__ == "__main__":
    main()
