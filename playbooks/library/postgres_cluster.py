#!/usr/bin/python
"""Ansible module: the database cluster of one environment."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.supervised import end_processes

DOCUMENTATION = """
module: postgres_cluster
short_description: Create a PostgreSQL cluster with one database, its owner and a password
description:
  - Creates the cluster once. Only the database's owner can log in, over the server's Unix socket and with
    a password, which is made here and written to a file, and is in no argument, log or result.
  - Removes the lock file of a server that was killed.
options:
  environment_folder: {description: The folder that names the environment., type: path, required: true}
  bin_folder: {description: The folder of the PostgreSQL programs., type: path, required: true}
  folder: {description: The cluster's folder in the environment., type: path, required: true}
  run_as: {description: The user PostgreSQL runs as; empty for the present one., type: str, required: true}
  run_as_folder:
    description: Where the cluster is kept when it runs as another user; O(folder) is a link to it then.
    type: path
    required: true
  database: {description: The name of the database and of its owner., type: str, required: true}
  password_file: {description: Where the password is written, for its reader only., type: path, required: true}
"""

EXAMPLES = """
- name: Create the database cluster
  postgres_cluster:
    environment_folder: /srv/env
    bin_folder: /var/lib/opsbook/runtime/postgresql-18.4/bin
    folder: /srv/env/db
    run_as: opsbook
    run_as_folder: /var/lib/opsbook/1a2b3c
    database: arcade
    password_file: /srv/env/secrets/db_password
"""

RETURN = """
data_folder: {description: The cluster's data directory., returned: always, type: str}
"""


class Cluster:
    """One cluster: where it is and who owns it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.bin = Path(module.params["bin_folder"])
        self.run_as = module.params["run_as"]
        self.link = Path(module.params["folder"])
        self.data = Path(module.params["run_as_folder"], "db") if self.run_as else self.link
        self.database = module.params["database"]
        self.password_file = Path(module.params["password_file"])

    def exists(self) -> bool:
        linked = not self.run_as or (self.link.is_symlink() and self.link.readlink() == self.data)
        return linked and Path(self.data, "PG_VERSION").exists()

    def create(self) -> None:
        # A server that outlived its folder would write into the new one: it knows it by its path.
        if not end_processes(self.module.params["environment_folder"], patience=30):
            self.module.fail_json(msg="processes of an earlier environment in this folder do not end")
        self.data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._set_aside_the_lost()
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.run_as:
            account = pwd.getpwnam(self.run_as)
            os.chown(new, account.pw_uid, account.pw_gid)
        self._run("initdb", "--pgdata", new, "--username=postgres", "--auth=reject", "--encoding=UTF8", "--locale=C")
        self._create_database(new, self._make_password())
        self.access_file(new).write_text(self.access())
        new.rename(self.data)
        if self.run_as:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self.data)

    def access(self) -> str:
        """Nobody but the owner of the database comes in; an administrator uses `postgres --single`."""
        return f"local {self.database} {self.database} scram-sha-256\n"

    @staticmethod
    def access_file(data: Path) -> Path:
        return data / "pg_hba.conf"

    def opens_otherwise(self) -> bool:
        """Tell a cluster that was made when the server listened on a port."""
        return self.access_file(self.data).read_text() != self.access()

    def _set_aside_the_lost(self) -> None:
        """Keep the data of an environment whose own folder was removed without `purge`."""
        if self.run_as and self.data.exists():
            aside = self.data.with_name(f"db.lost-{time.time_ns()}")
            self.data.rename(aside)
            self.module.warn(f"the database of an earlier environment in this folder is kept as {aside}")

    def _make_password(self) -> str:
        password = secrets.token_urlsafe(32)
        self.password_file.unlink(missing_ok=True)
        descriptor = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
        return password

    def _create_database(self, data: Path, password: str) -> None:
        """Talk to a server without a port: over standard input, where no other process can read."""
        statements = (
            f"CREATE ROLE \"{self.database}\" LOGIN PASSWORD '{password}';\n"
            f'CREATE DATABASE "{self.database}" OWNER "{self.database}";\n'
        )
        quiet = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
        self._run("postgres", "--single", *quiet, "-D", data, "postgres", statements=statements)

    def _run(self, program: str, *arguments: str | Path, statements: str = "") -> None:
        account = {"user": self.run_as, "group": self.run_as, "extra_groups": []} if self.run_as else {}
        done = subprocess.run(
            [self.bin / program, *arguments],
            input=statements,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **account,
        )
        if done.returncode != 0:
            self.module.fail_json(msg=f"{program} fails: {done.stderr.strip()}")

    def stale_lock(self) -> Path | None:
        """Find the lock of a killed server: its number may belong to another process by now."""
        lock = Path(self.data, "postmaster.pid")
        try:
            pid = lock.read_text().split(maxsplit=1)[0]
        except (FileNotFoundError, IndexError):
            return None
        try:
            runs = Path("/proc", pid, "cwd").readlink() == self.data.resolve()
        except OSError:
            runs = False
        return None if runs else lock


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "environment_folder": {"type": "path", "required": True},
            "bin_folder": {"type": "path", "required": True},
            "folder": {"type": "path", "required": True},
            "run_as": {"type": "str", "required": True},
            "run_as_folder": {"type": "path", "required": True},
            "database": {"type": "str", "required": True},
            # no_log would be wrong: this is the file's name, and the password is never a parameter.
            "password_file": {"type": "path", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    cluster = Cluster(module)
    if not cluster.exists():
        if not module.check_mode:
            cluster.create()
        difference = {"before": "", "after": f"PostgreSQL cluster {cluster.data}\n"}
        module.exit_json(changed=True, data_folder=str(cluster.data), diff=difference)
    if not cluster.password_file.exists():
        module.fail_json(msg=f"{cluster.password_file} is missing: bring it back or run platform-down.yml with purge")
    lock = cluster.stale_lock()
    otherwise = cluster.opens_otherwise()
    if lock is not None and not module.check_mode:
        lock.unlink()
    if otherwise and not module.check_mode:
        # It is read when the server starts, which its new socket makes it do.
        cluster.access_file(cluster.data).write_text(cluster.access())
    module.exit_json(changed=lock is not None or otherwise, data_folder=str(cluster.data))


if __name__ == "__main__":
    main()
